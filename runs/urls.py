"""Routes of the runs pages."""

from django.urls import path

from runs import views

app_name = "runs"
urlpatterns = [path("", views.board, name="board")]
