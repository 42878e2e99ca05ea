"""What a run did, item by item."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from runs import selectors, selectors_judges, selectors_pages, selectors_variants
from runs.metrics import run_metrics, section_rows
from runs.models import Run
from runs.selectors import VERDICTS, TrialFilter
from runs.views.asked import as_workspace_request, is_htmx, run_or_404, whole
from workspaces import access

LOG_SHOWN = 200
VERDICT_WORDS = {"errored": "Errors", "tied": "A tie"}
VERDICT_CHOICES = [(name, VERDICT_WORDS.get(name, name.capitalize())) for name in VERDICTS]


@access.requires()
def inspector(request: HttpRequest, pk: int) -> HttpResponse:
    """`?item=3` opens that item beside the list; filters and the page are in the URL."""
    held = as_workspace_request(request).access
    run = selectors.full_run(held.workspace, pk)
    if run is None:
        raise Http404("No such run")
    wanted = wanted_trials(request)
    context: dict[str, Any] = {"run": run, "can_edit": held.can_edit, "wanted": wanted}
    target = request.headers.get("HX-Target") if is_htmx(request) else None
    if target == "drawer":
        return render(request, "runs/_drawer.html", context | _drawer(request, run, wanted))
    context |= _items(request, run, wanted)
    if target in ("items", "item-rows", "search-on"):
        context["continued"] = target == "search-on"  # rows for the end of a list that is being searched
        return render(request, "runs/_items.html", context)
    context |= {
        "card": selectors.card(run),
        "metrics": run_metrics(run),
        "sections": section_rows(run),
        **_judges(run, held.can_edit),
        "lines": selectors.log_lines(run, last=LOG_SHOWN),
        "socket_query": f"view=run&run={run.pk}",
        **_drawer(request, run, wanted),
    }
    return render(request, "runs/inspector.html", context)


def wanted_trials(request: HttpRequest) -> TrialFilter:
    """The filter of the item list, as the address says it."""
    section, verdict = request.GET.get("section", ""), request.GET.get("verdict", "")
    return TrialFilter(
        q=request.GET.get("q", "").strip()[:200],
        section=None if not section else "" if section == "-" else section,
        verdict=verdict if verdict in VERDICTS else "",
        by=request.GET.get("by", "")[:80],
        flips=request.GET.get("flips") == "1",
        variant=whole(request.GET.get("variant")) if "variant" in request.GET else None,
    )


def _items(request: HttpRequest, run: Run, wanted: TrialFilter) -> dict[str, Any]:
    before, after = whole(request.GET.get("before")), whole(request.GET.get("after"))
    compares = any(judge["kind"] == "compare" for judge in run.config.get("judges", []))
    return {
        "trials": selectors.trial_page(run, wanted, before=before, after=after),
        "items_count": selectors.trial_count(run, wanted),
        "section_names": [section["name"] for section in run.dataset_version.sections],
        "verdicts": [choice for choice in VERDICT_CHOICES if compares or choice[0] != "tied"],
        "open_seq": whole(request.GET.get("item")),
        "variant_titles": run.variants.titles,
    }


def _drawer(request: HttpRequest, run: Run, wanted: TrialFilter) -> dict[str, Any]:
    seq = whole(request.GET.get("item"))
    trial = selectors.trial_detail(run, seq) if seq else None
    if trial is None:
        return {"trial": None}
    previous, following = selectors.trial_neighbours(run, wanted, trial.seq)
    prompt = selectors_pages.prompt_of_trial(run, trial)
    found = {"trial": trial, "previous": previous, "following": following, "prompt": prompt}
    return found | {"turns": selectors_variants.turns_of_item(run, trial)}


def _judges(run: Run, can_edit: bool) -> dict[str, Any]:
    """What judges said, and those that may be added."""
    found: dict[str, Any] = {"judges": selectors_judges.judge_rows(run)}
    if can_edit and not run.judged_id:
        others = selectors_judges.opponents_on(run.dataset_version, but=run.pk)
        found["opponents"] = [other for other in others if other.value.startswith("run:")]
        found["judges_offered"] = selectors_judges.versions_offered(run.workspace)
    return found


@access.requires()
def log(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The whole log as plain text."""
    run = run_or_404(request, pk)
    return StreamingHttpResponse(
        selectors_pages.log_text(run),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'inline; filename="run-{run.pk}-log.txt"'},
    )
