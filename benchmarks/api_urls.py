"""API routes of benchmarks, their evaluations and gates."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from benchmarks.api import BenchmarkEvaluationViewSet, BenchmarkViewSet, DatasetGates, GateView

router = SimpleRouter(trailing_slash=False)
router.register("benchmarks", BenchmarkViewSet, basename="benchmark")
router.register("benchmark-evaluations", BenchmarkEvaluationViewSet, basename="benchmark_evaluation")

urlpatterns = [
    *router.urls,
    path("gates/<int:pk>", GateView.as_view(), name="gate"),
    path("gates/datasets/<int:pk>", DatasetGates.as_view(), name="dataset_gates"),
]
