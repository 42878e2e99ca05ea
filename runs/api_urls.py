"""API routes of evaluations, runs and trials."""

from rest_framework.routers import SimpleRouter

from runs.api import AttemptViewSet, EvaluationViewSet, RunViewSet, TrialViewSet
from runs.api_by_hand import HandAnswerViewSet
from runs.api_judges import JudgeViewSet

router = SimpleRouter(trailing_slash=False)
router.register("evaluations", EvaluationViewSet, basename="evaluation")
router.register("runs", RunViewSet, basename="run")
router.register(r"runs/(?P<run_id>\d{1,18})/trials", TrialViewSet, basename="trial")
router.register(r"runs/(?P<run_id>\d{1,18})/attempts", AttemptViewSet, basename="attempt")
router.register(r"runs/(?P<run_id>\d{1,18})/answers", HandAnswerViewSet, basename="answer")
router.register(r"runs/(?P<run_id>\d{1,18})/judges", JudgeViewSet, basename="run-judge")

urlpatterns = router.urls
