"""API routes of comparisons."""

from django.urls import path

from analysis.api import ComparisonView

urlpatterns = [path("comparisons", ComparisonView.as_view(), name="comparisons")]
