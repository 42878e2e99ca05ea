"""API routes of datasets and their versions."""

from rest_framework.routers import SimpleRouter

from datasets.api import DatasetViewSet, VersionViewSet

router = SimpleRouter(trailing_slash=False)
router.register("datasets", DatasetViewSet, basename="dataset")
router.register("versions", VersionViewSet, basename="version")
urlpatterns = router.urls
