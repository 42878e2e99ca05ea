"""API routes about the workspace itself."""

from django.urls import path

from workspaces.api import WhoAmI

urlpatterns = [path("workspace", WhoAmI.as_view(), name="workspace")]
