"""The API's routes; every app brings its viewsets."""

from typing import Any

urlpatterns: list[Any] = []
