"""API routes of datasets and their versions."""

from rest_framework.routers import SimpleRouter

from datasets.api import DatasetViewSet, VersionViewSet
from datasets.api_editing import SubsetViewSet
from datasets.api_uploads import SavedMappingViewSet, UploadViewSet

router = SimpleRouter(trailing_slash=False)
router.register("datasets", DatasetViewSet, basename="dataset")
router.register("versions", VersionViewSet, basename="version")
router.register("subsets", SubsetViewSet, basename="subset")
router.register("uploads", UploadViewSet, basename="upload")
router.register("mappings", SavedMappingViewSet, basename="mapping")
urlpatterns = router.urls
