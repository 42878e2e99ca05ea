"""Routes of the query generation pages."""

from django.urls import path

from generation import views, views_paraphrases

app_name = "generation"
urlpatterns = [
    path("", views.begin, name="begin"),
    path("paraphrases/<int:version_id>/", views_paraphrases.paraphrases, name="paraphrases"),
    path("paraphrases/<int:version_id>/begin/", views_paraphrases.begin, name="paraphrases_begin"),
    path("paraphrases/<int:version_id>/decide/", views_paraphrases.decide, name="paraphrases_decide"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/progress/", views.progress, name="progress"),
    path("<int:pk>/drafts/<int:number>/", views.draft, name="draft"),
    path("<int:pk>/decide/", views.decide, name="decide"),
    path("<int:pk>/delete/", views.delete, name="delete"),
    path("<int:pk>/publish/", views.publish, name="publish"),
]
