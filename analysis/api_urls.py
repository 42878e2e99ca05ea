"""API routes of comparisons and people's labels."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from analysis.api import ComparisonView
from analysis.api_labels import LabelViewSet, ReviewSampleViewSet

router = SimpleRouter(trailing_slash=False)
router.register("labels", LabelViewSet, basename="label")
router.register("review-samples", ReviewSampleViewSet, basename="sample")

urlpatterns = [path("comparisons", ComparisonView.as_view(), name="comparisons"), *router.urls]
