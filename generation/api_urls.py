"""API routes of query generation and of paraphrases."""

from rest_framework.routers import SimpleRouter

from generation.api import GenerationViewSet
from generation.api_paraphrases import ParaphraseViewSet

router = SimpleRouter(trailing_slash=False)
router.register("generations", GenerationViewSet, basename="generation")
router.register(r"versions/(?P<version_id>\d{1,18})/paraphrases", ParaphraseViewSet, basename="paraphrase")

urlpatterns = router.urls
