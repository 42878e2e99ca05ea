"""Queries that every page can read; an empty installation leads to its first-start page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from workspaces import selectors

# Machines that ask (health checks, scripts, browsers after a style sheet) are told nothing of set-up.
NOT_PAGES = ("/setup/", "/static/", "/healthz", "/readyz", "/metrics", "/api/")


def readable_query(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Takes NULs out of the query: nobody searches for them, and PostgreSQL cannot be asked."""

    def middleware(request: HttpRequest) -> HttpResponse:
        query = request.META.get("QUERY_STRING", "")
        if "%00" in query:
            request.META["QUERY_STRING"] = query.replace("%00", "")
        return get_response(request)

    return middleware


def first_start(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Asks the database until there is someone, and never again in this process."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(NOT_PAGES) and selectors.installation_is_empty():
            return redirect("workspaces:setup")
        return get_response(request)

    return middleware
