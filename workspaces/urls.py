"""Routes of people pages."""

from django.urls import path

from workspaces import views

app_name = "workspaces"
urlpatterns = [
    path("workspaces/new/", views.home, name="create"),
    path("w/<slug:slug>/members/", views.home, name="members"),
    path("w/<slug:slug>/tokens/", views.home, name="tokens"),
]
