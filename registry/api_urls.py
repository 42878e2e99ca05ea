"""The registry's routes in the API."""

from rest_framework.routers import SimpleRouter

from registry.api import ModelViewSet

router = SimpleRouter(trailing_slash=False)
router.register("models", ModelViewSet, basename="model")
urlpatterns = router.urls
