"""API routes of the webhook."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from webhooks.api import DeliveryViewSet, WebhookView

router = SimpleRouter(trailing_slash=False)
router.register("webhook/deliveries", DeliveryViewSet, basename="webhook-delivery")
urlpatterns = [
    path("webhook", WebhookView.as_view(), name="webhook"),
    path("", include(router.urls)),
]
