"""The ASGI application: pages over HTTP, live state over websockets."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalportal.settings")
pages = get_asgi_application()  # sets Django up, so consumers are imported after it

import evalportal.urls  # noqa: E402, F401 (all pages, before the first request waits for them)
from analysis import routing as analysis_routing  # noqa: E402
from evalportal.bodies import streamed  # noqa: E402
from runs import routing as runs_routing  # noqa: E402

routes = [*runs_routing.websocket_urlpatterns, *analysis_routing.websocket_urlpatterns]
sockets = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(routes)))
application = ProtocolTypeRouter({"http": streamed(pages), "websocket": sockets})
