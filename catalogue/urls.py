"""Routes of the catalogue's pages."""

from django.urls import path

from catalogue import views

app_name = "catalogue"
urlpatterns = [
    path("", views.catalogue, name="list"),
    path("hub/", views.from_hub, name="hub"),
    path("hub/token/", views.hub_token, name="token"),
    path("again/<int:pk>/", views.again, name="again"),
    path("<slug:key>/prepare/", views.prepare, name="prepare"),
    path("<slug:key>/", views.entry_import, name="import"),
]
