"""Routes of websockets."""

from typing import Any

from django.urls import path

from analysis.consumers import ChangesConsumer

websocket_urlpatterns: list[Any] = [path("ws/w/<slug:slug>/changes/", ChangesConsumer.as_asgi())]
