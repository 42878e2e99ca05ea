"""Routes of the registry pages."""

from django.urls import path

from registry import views

app_name = "registry"
urlpatterns = [
    path("", views.models, name="models"),
    path("<int:pk>/", views.model, name="model"),
    path("<int:pk>/test/", views.probe, name="probe"),
]
