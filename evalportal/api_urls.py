"""The API's routes: every app brings its own (`<app>/api_urls.py`), one line each under `v1`."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

import evalportal.api_schema  # noqa: F401 (drf-spectacular finds its extensions by their import)
from workspaces import access
from workspaces.api_base import AnyPerson

v1 = [
    path("", include("workspaces.api_urls")),
    path("", include("registry.api_urls")),
    path("", include("datasets.api_urls")),
    path("", include("judges.api_urls")),
    path("", include("catalogue.api_urls")),
    path("", include("webhooks.api_urls")),
    path("", include("runs.api_urls")),
    path("", include("generation.api_urls")),
    path("", include("analysis.api_urls")),
    path("", include("benchmarks.api_urls")),
]

schema = SpectacularAPIView.as_view(permission_classes=[AnyPerson])
docs = SpectacularSwaggerSplitView.as_view(permission_classes=[AnyPerson], url_name="api-schema")

urlpatterns = [
    path("v1/", include(v1)),
    re_path(r"^schema/?$", schema, name="api-schema"),
    re_path(r"^docs/?$", access.person(docs), name="api-docs"),
]
