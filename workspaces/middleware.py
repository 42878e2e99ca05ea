"""An empty installation leads to its first-start page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from workspaces import selectors

# Machines that ask (health checks, scripts, browsers after a style sheet) are told nothing of set-up.
NOT_PAGES = ("/setup/", "/static/", "/healthz", "/api/")


def first_start(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Asks the database until there is someone, and never again in this process."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(NOT_PAGES) and selectors.installation_is_empty():
            return redirect("workspaces:setup")
        return get_response(request)

    return middleware
