"""The ASGI application: pages over HTTP, live state over websockets."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalportal.settings")
application = get_asgi_application()
