"""Every failed attempt of a run: when, which item, why, and how long it was waited."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from runs import selectors, selectors_attempts
from runs.views.asked import as_workspace_request, whole
from workspaces import access


@access.requires()
def attempts(request: HttpRequest, pk: int) -> HttpResponse:
    """Newest first; `?kind=` and the page are in the URL."""
    held = as_workspace_request(request).access
    run = selectors.full_run(held.workspace, pk)
    if run is None:
        raise Http404("No such run")
    kind = request.GET.get("kind", "")[:40]
    before, after = whole(request.GET.get("before")), whole(request.GET.get("after"))
    context = {
        "run": run,
        "can_edit": held.can_edit,
        "card": selectors.card(run),
        "kind": kind,
        "kinds": selectors_attempts.failed_kinds(run),
        "attempts": selectors_attempts.failed_page(run, kind, before=before, after=after),
        "socket_query": f"view=run&run={run.pk}",
    }
    return render(request, "runs/attempts.html", context)
