"""Routes of the judges pages."""

from django.urls import path

from judges import views

app_name = "judges"
urlpatterns = [
    path("", views.judge_list, name="list"),
    path("try/", views.try_on, name="try"),
    path("new/", views.new, name="new"),
    path("new/preview/", views.preview_new, name="preview_new"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/save/", views.save, name="save"),
    path("<int:pk>/preview/", views.preview, name="preview"),
    path("<int:pk>/archive/", views.archive, name="archive"),
    path("<int:pk>/v<int:number>/", views.version, name="version"),
    path("<int:pk>/v<int:number>/controls/", views.controls, name="controls"),
    path("<int:pk>/v<int:number>/check/", views.check, name="check"),
]
