"""The comparison's page, its live parts, and the runs to choose for one."""

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_safe

from analysis import selectors
from analysis.asking import GROUPINGS, RIGHT, WRONG, Asked, asked
from analysis.comparison import LEAST, MOST, NotComparable, RunsMissing, compare_runs, scorers_of
from analysis.figures import Figures, figures_of
from analysis.models import TriageState
from analysis.selectors_again import asked_again
from analysis.wording import Wording, worded
from runs.selectors import listed
from runs.views.asked import as_workspace_request, is_htmx
from workspaces import access
from workspaces.access import Access
from workspaces.models import Workspace
from workspaces.selectors import members_of

LIVE = (
    "scope", "finding", "left_out", "summary", "forest", "latency", "sections", "groups", "scorers", "cost",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tab:
    """An outcome of the pair, as a link."""

    name: str
    count: int
    query: str
    here: bool


OUTCOMES = (
    ("Broken", RIGHT, WRONG),
    ("Fixed", WRONG, RIGHT),
    ("Both correct", RIGHT, RIGHT),
    ("Both wrong", WRONG, WRONG),
)


@access.requires()
@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """`?runs=1,2,3` and what else the URL says; without two runs, or with `choose`, the runs to choose."""
    held, wanted = as_workspace_request(request).access, asked(request.GET)
    if len(request.GET.getlist("runs")) > 1:
        return redirect(reverse("analysis:compare", args=[held.workspace.slug]) + wanted.query())
    if len(wanted.runs) < LEAST or "choose" in request.GET:
        return choose(request, wanted)
    try:
        figures = figures_or_404(held, wanted)
    except NotComparable as problem:
        return choose(request, wanted, str(problem))
    context = {"figures": figures, "can_edit": held.can_edit, **items_context(held, figures)}
    if is_htmx(request) and request.headers.get("HX-Target") in ("pair-items", "again"):
        return render(request, "analysis/_items.html", context)
    return render(request, "analysis/compare.html", context | page_context(held, figures))


def figures_or_404(held: Access, wanted: Asked) -> Figures:
    """Raises NotComparable."""
    try:
        return figures_of(held.workspace, wanted)
    except RunsMissing as missing:
        raise Http404(str(missing)) from missing


def items_context(held: Access, figures: Figures) -> dict[str, Any]:
    mask = selectors.picked(figures)
    opened = selectors.open_item(held.workspace, figures, mask)
    context: dict[str, Any] = {
        "items": selectors.item_list(held.workspace, figures, mask),
        "open": opened,
        "tabs": tabs(figures),
        "triage_states": TriageState.choices,
    }
    if opened and opened.row.triaged and opened.row.triaged.again_id:
        context["again"] = asked_again(opened.row.triaged, figures.comparison.scorer, opened.second)
    if opened and held.can_edit:
        run = figures.comparison.runs[figures.against]
        context["members"] = members_of(held.workspace)
        context["can_ask_again"] = run.model_id is not None and run.config.get("responses") == "fresh"
    return context


def tabs(figures: Figures) -> list[Tab]:
    """All items, then the pair's four outcomes where answers are right or wrong."""
    asked_now, letters = figures.asked, (figures.letters[figures.base], figures.letters[figures.against])

    def tab(name: str, wishes: dict[str, bool], count: int) -> Tab:
        query = asked_now.query(wanted=wishes, section=None, differ=None, after=None, before=None, item=None)
        here = asked_now.wanted == wishes and not asked_now.differ and asked_now.section is None
        return Tab(name, count, query, here)

    found = [tab("All", {}, figures.comparison.n)]
    for name, first, second in OUTCOMES if figures.share else ():
        wishes = {letters[0]: first == RIGHT, letters[1]: second == RIGHT}
        found.append(tab(name, wishes, int(selectors.picked(figures, wishes).sum())))
    return found


def live_context(figures: Figures) -> dict[str, Any]:
    """What the page's live parts need besides the figures."""
    runs = figures.comparison.runs
    return {
        "shared_scorers": [
            name for name in scorers_of(runs[0]) if all(name in scorers_of(run) for run in runs)
        ],
        "has_values": not figures.comparison.binary or figures.asked.mean,
        "untriaged": selectors.broken_untriaged(figures) if figures.share else 0,
        "groupings": GROUPINGS,
    }


def page_context(held: Access, figures: Figures) -> dict[str, Any]:
    workspace = held.workspace
    return {
        **live_context(figures),
        **history_context(workspace, figures),
        "fragments_url": reverse("analysis:compare_fragments", args=[workspace.slug]),
        "socket_path": "changes/",
        "socket_query": "runs=" + ",".join(str(run.pk) for run in figures.comparison.runs),
    }


def history_context(workspace: Workspace, figures: Figures) -> dict[str, Any]:
    """The past of the compared run's alias."""
    past = selectors.history(workspace, figures.comparison.runs[figures.against], figures.comparison.scorer)
    return {"history": past, "past": past_words(past, figures.comparison.scorer)}


def past_words(past: list[selectors.Past], scorer: str) -> Wording | None:
    """The last run against the first, paired on common items; two queries at most."""
    if len(past) < LEAST:
        return None
    first, last = past[0].run, past[-1].run
    found = compare_runs([first, last], scorer)
    difference = found.difference(0, 1)
    names = (f"#{first.pk}", f"#{last.pk}")
    return worded(difference, difference.test.p, *names, share=found.verdicts, names=names)


@access.requires()
@require_safe
def fragments(request: HttpRequest) -> HttpResponse:
    """What the page shows of figures, again: asked when a run of it has moved on; htmx swaps it by id."""
    held, wanted = as_workspace_request(request).access, asked(request.GET)
    if len(wanted.runs) < LEAST:
        return HttpResponse(status=204)
    try:
        figures = figures_or_404(held, wanted)
    except NotComparable:
        return HttpResponse(status=204)
    context = {"figures": figures, "workspace": held.workspace, "oob": True, **live_context(figures)}
    return HttpResponse("".join(render_to_string(f"analysis/_{name}.html", context) for name in LIVE))


def choose(request: HttpRequest, wanted: Asked, problem: str = "") -> HttpResponse:
    """Runs with boxes to tick, and comparisons that were saved."""
    workspace = as_workspace_request(request).access.workspace
    q = request.GET.get("q", "").strip()[:200]
    context = {
        "wanted": wanted,
        "problem": problem,
        "q": q,
        "choices": selectors.choices(workspace, wanted.runs, q),
        "saved": selectors.saved_of(workspace),
        "most": MOST,
        "has_runs": listed(workspace).exists(),
        "can_edit": as_workspace_request(request).access.can_edit,
    }
    return render(request, "analysis/choose.html", context, status=422 if problem else 200)
