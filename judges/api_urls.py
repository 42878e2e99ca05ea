"""The judges' routes in the API."""

from rest_framework.routers import SimpleRouter

from judges.api import JudgeViewSet

router = SimpleRouter(trailing_slash=False)
router.register("judges", JudgeViewSet, basename="judge")
urlpatterns = router.urls
