"""Reading what a request asks for."""

from typing import cast

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from runs.models import Run
from runs.selectors import runs_of
from workspaces.access import WorkspaceRequest


def as_workspace_request(request: HttpRequest) -> WorkspaceRequest:
    """For the type checker: `access.requires` has set `request.access`."""
    return cast(WorkspaceRequest, request)


def run_or_404(request: HttpRequest, pk: int) -> Run:
    """A run of the request's workspace; any other is a 404."""
    return get_object_or_404(runs_of(as_workspace_request(request).access.workspace), pk=pk)


def whole(text: str | None) -> int | None:
    """A positive whole number from a query string, else None."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def is_htmx(request: HttpRequest) -> bool:
    """Asked by htmx for a part of a page; a page that htmx restores from history is asked whole."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers
