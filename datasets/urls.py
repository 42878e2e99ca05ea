"""Routes of the datasets pages."""

from django.urls import path

from datasets import views

app_name = "datasets"
urlpatterns = [path("", views.list, name="list")]
