"""What is shown when something is wrong: pages for people, problem details under /api/."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from workspaces.api_errors import problem_page


def page(request: HttpRequest, status: int, *, title: str, detail: str) -> HttpResponse:
    if request.path.startswith("/api/"):
        return problem_page(request, status, detail)
    context = {"title": title, "detail": detail}
    return render(request, f"{status}.html", context, status=status)


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    detail = "The browser sent something that this page cannot read. Go back and try again."
    return page(request, 400, title="Bad request", detail=detail)


def forbidden(request: HttpRequest, exception: Any = None) -> HttpResponse:
    detail = str(exception or "") or "This page is not for your account."
    return page(request, 403, title="Not allowed", detail=detail)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    detail = "This form was open for too long or in another session. Go back, reload the page and try again."
    return page(request, 403, title="The form has expired", detail=detail)


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    detail = "It does not exist, was deleted, or belongs to a workspace that you are not a member of."
    return page(request, 404, title="Nothing here", detail=detail)


def too_many(request: HttpRequest, exception: Any = None) -> HttpResponse:
    detail = "That was tried too often in a short time. Wait a few minutes, then try again."
    return page(request, 429, title="Too many attempts", detail=detail)


def failed(request: HttpRequest) -> HttpResponse:
    detail = "The portal made a mistake; nothing that you did. It is in the log. Try again in a moment."
    return page(request, 500, title="Something went wrong", detail=detail)
