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
    path("<int:pk>/rename/", views.rename, name="rename"),
    path("<int:pk>/delete/", views.dataset_delete, name="delete"),
    path("<int:pk>/v<int:number>/delete/", views.version_delete, name="version_delete"),
    path("<int:pk>/v<int:number>/items.<str:key>", views.download, name="download"),
]
