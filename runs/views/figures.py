"""The tab with all metrics of a run: overall and by section, each with interval, n and what n counts."""

from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from runs import selectors, selectors_figures
from runs.models import Run
from runs.selectors_figures import Asked
from runs.services.figures import run_figures
from runs.views.asked import as_workspace_request, is_htmx
from workspaces import access


@access.requires()
def figures(request: HttpRequest, pk: int) -> HttpResponse:
    """`?scorer=` and `?cluster=` are in the URL; a large run's page asks again while a worker computes."""
    held = as_workspace_request(request).access
    run = selectors.full_run(held.workspace, pk)
    if run is None:
        raise Http404("No such run")
    keys = selectors_figures.cluster_keys(run)
    asked = _asked(request, run, keys)
    context: dict[str, Any] = {
        "run": run,
        "asked": asked,
        "figures": run_figures(run, asked) if asked.scorer and run.terminal else None,
    }
    if is_htmx(request) and request.headers.get("HX-Target") == "figures":
        unchanged = context["figures"] is None and "wait" in request.GET
        if unchanged:
            return HttpResponse(status=HTTPStatus.NO_CONTENT)
        return render(request, "runs/_figures.html", context)
    context |= {
        "can_edit": held.can_edit,
        "card": selectors.card(run),
        "cluster_keys": keys,
        "socket_query": f"view=run&run={run.pk}",
    }
    return render(request, "runs/metrics.html", context)


def _asked(request: HttpRequest, run: Run, keys: list[str]) -> Asked:
    """The first scorer and no key unless the run has what is asked for."""
    scorer, cluster = request.GET.get("scorer", ""), request.GET.get("cluster", "")
    names = run.scorer_names
    return Asked(scorer if scorer in names else next(iter(names), ""), cluster if cluster in keys else "")
