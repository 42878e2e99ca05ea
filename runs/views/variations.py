"""How a run's verdicts hang on how items were asked: over the run, and item by item."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runs import selectors, selectors_spread
from runs.selectors import Page
from runs.views.asked import as_workspace_request, is_htmx, whole
from workspaces import access


@require_safe
@access.requires()
def variations(request: HttpRequest, pk: int) -> HttpResponse:
    """`?scorer=` and the page (`?after=`, a place from 0) are in the URL."""
    held = as_workspace_request(request).access
    run = selectors.full_run(held.workspace, pk)
    if run is None:
        raise Http404("No such run")
    names = run.scorer_names
    scorer = request.GET.get("scorer", "")
    scorer = scorer if scorer in names else next(iter(names), "")
    found = selectors_spread.spread(run, scorer)
    context: dict[str, Any] = {"run": run, "spread": found, "scorer": scorer, "titles": run.variants.titles}
    if is_htmx(request) and request.headers.get("HX-Target") == "spread":
        return render(request, "runs/_spread.html", context)
    start, size = max(0, whole(request.GET.get("after")) or 0), selectors_spread.ROWS
    items = found.items if found else []
    shown = items[start : start + size]
    older = str(start + size) if start + size < len(items) else ""
    context |= {
        "page": Page(selectors_spread.spread_rows(run, shown), older=older),
        "can_edit": held.can_edit,
        "card": selectors.card(run),
        "socket_query": f"view=run&run={run.pk}",
    }
    return render(request, "runs/variations.html", context)
