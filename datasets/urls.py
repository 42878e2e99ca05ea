"""Routes of the datasets pages."""

from django.urls import path

from datasets import views

app_name = "datasets"
urlpatterns = [
    path("", views.dataset_list, name="list"),
    path("upload/", views.upload, name="upload"),
    path("upload/name/", views.name_hint, name="name_hint"),
    path("upload/<int:pk>/", views.map_and_check, name="map"),
    path("upload/<int:pk>/report.csv", views.report, name="report"),
    path("upload/<int:pk>/progress/", views.progress, name="progress"),
    path("upload/<int:pk>/cancel/", views.cancel, name="cancel"),
    path("assets/<str:sha256>/", views.asset, name="asset"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/card/", views.card, name="card"),
    path("<int:pk>/diff/", views.diff, name="diff"),
    path("<int:pk>/subsets/", views.subsets, name="subsets"),
    path("<int:pk>/subsets/<int:subset_id>/delete/", views.subset_delete, name="subset_delete"),
    path("<int:pk>/edit/", views.draft_begin, name="draft_begin"),
    path("<int:pk>/draft/", views.draft, name="draft"),
    path("<int:pk>/draft/items/<int:position>/", views.draft_item, name="draft_item"),
    path("<int:pk>/draft/bulk/", views.draft_bulk, name="draft_bulk"),
    path("<int:pk>/draft/restore/", views.draft_restore, name="draft_restore"),
    path("<int:pk>/draft/publish/", views.draft_publish, name="draft_publish"),
    path("<int:pk>/draft/discard/", views.draft_discard, name="draft_discard"),
    path("<int:pk>/rename/", views.rename, name="rename"),
    path("<int:pk>/delete/", views.dataset_delete, name="delete"),
    path("<int:pk>/v<int:number>/delete/", views.version_delete, name="version_delete"),
    path("<int:pk>/v<int:number>/items.<str:key>", views.download, name="download"),
]
