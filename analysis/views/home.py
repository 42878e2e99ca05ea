"""The workspace's home: what happens now, what needs a person, what came of it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_safe

from analysis import selectors_dashboard
from runs import selectors, selectors_pages
from runs.views.asked import as_workspace_request
from workspaces import access
from workspaces.access import Access

PARTS = ("attention", "active", "recent", "readiness", "providers", "week", "activity")
LIVE = (*(f"analysis/dashboard/_{name}.html" for name in PARTS), "runs/_month.html")


@access.requires()
@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    held = as_workspace_request(request).access
    context: dict[str, Any] = {
        "can_edit": held.can_edit,
        "counts": selectors.status_counts(held.workspace),
        "socket_path": "changes/",
        "fragments_url": reverse("analysis:dashboard_fragments", args=[held.workspace.slug]),
    }
    if selectors_pages.is_new(held.workspace):
        context |= {"is_new": True, **selectors_pages.what_is_there(held.workspace)}
    else:
        context |= parts(held)
    return render(request, "analysis/dashboard.html", context)


def parts(held: Access) -> dict[str, Any]:
    """What the live parts show."""
    workspace = held.workspace
    active = selectors_dashboard.active_rows(workspace)
    return {
        "attention": selectors_dashboard.attention(workspace),
        "to_decide": selectors_dashboard.to_decide(workspace),
        "active": active,
        "providers": selectors_dashboard.providers(workspace, active),
        "recent": selectors_dashboard.recent_rows(workspace),
        "ready": selectors_dashboard.readiness(workspace),
        "week": selectors_dashboard.week(workspace),
        "activity": selectors_dashboard.activity(workspace),
    }


@access.requires()
@require_safe
def fragments(request: HttpRequest) -> HttpResponse:
    """The live parts again: asked when a run has moved on; htmx swaps them by id."""
    held = as_workspace_request(request).access
    context = {
        "workspace": held.workspace,
        "can_edit": held.can_edit,
        "request": request,
        "oob": True,
        **parts(held),
    }
    return HttpResponse("".join(render_to_string(name, context, request) for name in LIVE))
