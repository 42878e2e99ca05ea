"""The API's routes: every app brings its own (`<app>/api_urls.py`), one line each under `v1`."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from workspaces import access
from workspaces.api_base import AnyPerson

v1 = [
    path("", include("workspaces.api_urls")),
]

schema = SpectacularAPIView.as_view(permission_classes=[AnyPerson])
docs = SpectacularSwaggerSplitView.as_view(permission_classes=[AnyPerson], url_name="api-schema")

urlpatterns = [
    path("v1/", include(v1)),
    path("schema", schema, name="api-schema"),
    path("docs", access.person(docs), name="api-docs"),
]
