"""API routes of evaluations, runs and trials."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from runs.api import AttemptViewSet, EvaluationViewSet, RunViewSet, TrialViewSet
from runs.api_by_hand import HandAnswerViewSet
from runs.api_figures import RunFiguresView
from runs.api_judges import JudgeViewSet
from runs.api_misses import MissesChatView, MissesView

router = SimpleRouter(trailing_slash=False)
router.register("evaluations", EvaluationViewSet, basename="evaluation")
router.register("runs", RunViewSet, basename="run")
router.register(r"runs/(?P<run_id>\d{1,18})/trials", TrialViewSet, basename="trial")
router.register(r"runs/(?P<run_id>\d{1,18})/attempts", AttemptViewSet, basename="attempt")
router.register(r"runs/(?P<run_id>\d{1,18})/answers", HandAnswerViewSet, basename="answer")
router.register(r"runs/(?P<run_id>\d{1,18})/judges", JudgeViewSet, basename="run-judge")

urlpatterns = [
    path("runs/<int:run_id>/figures", RunFiguresView.as_view(), name="run-figures"),
    path("runs/<int:run_id>/misses", MissesView.as_view(), name="run-misses"),
    path("runs/<int:run_id>/misses/chat", MissesChatView.as_view(), name="run-misses-chat"),
    path("", include(router.urls)),
]
