"""The tabs of a benchmark: overview, phases, leaderboard, evaluations, evaluate."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from analysis.stats.intervals import wilson
from benchmarks import services
from benchmarks.exports import encoded, leaderboard_csv, leaderboard_document
from benchmarks.models import Benchmark, BenchmarkPart, Phase
from benchmarks.prose import rendered
from benchmarks.scoring import Weighted, overall, shares
from benchmarks.selectors import all_scored, evaluations_named, evaluations_of, parts_of, phase_of
from benchmarks.selectors_evaluate import SOURCES, models_by_source, recorded_by_all, used
from benchmarks.selectors_leaderboard import (
    SHOWN_PER_MODEL,
    Leaderboard,
    View,
    part_items,
    wanted_slice,
)
from benchmarks.selectors_leaderboard import (
    leaderboard as leaderboard_of,
)
from benchmarks.views.asked import benchmark_or_404, held_by, tab_page
from evalportal.lib.streaming import download
from runs.selectors import keyset_page
from runs.services.launch import items_in
from runs.views.asked import whole
from workspaces import access
from workspaces.models import Role

EVALUATIONS_A_PAGE = 25
STATUSES = ("completed", "running", "paused", "failed", "canceled")


@access.requires()
def overview(request: HttpRequest, pk: int) -> HttpResponse:
    benchmark = benchmark_or_404(request, pk)
    parts = list(parts_of(benchmark))
    rows = zip(parts, shares([part.weight for part in parts]) if parts else [], strict=True)
    context = {
        "summary": rendered(benchmark.summary),
        "rows": [(part, share, items_of(part, None)) for part, share in rows],
        "items": sum(items_of(part, None) for part in parts),
    }
    return tab_page(request, benchmark, "overview", context)


def items_of(part: Any, phase: Phase | None) -> int:
    """How many items a part has within a phase."""
    sections, limit = wanted_slice(part, phase)
    if part.subset:
        items = part_items(part)
        held = (items.filter(section__in=sections) if sections else items).count()
    else:
        held = items_in(part.version, sections)
    return min(held, limit) if limit else held


@access.requires()
def phases(request: HttpRequest, pk: int) -> HttpResponse:
    """Each with its items, window, limit, and how precise a score of one half is there."""
    benchmark = benchmark_or_404(request, pk)
    parts = list(parts_of(benchmark))
    rows = []
    for phase in benchmark.phases.all():
        held = [items_of(part, phase) for part in parts]
        rows.append((phase, sum(held), precision(parts, held)))
    return tab_page(request, benchmark, "phases", {"rows": rows})


def precision(parts: Sequence[BenchmarkPart], items: Sequence[int]) -> float | None:
    """The half width of the overall score's interval where every part's score is one half, its widest."""
    if not parts or not all(items):
        return None
    figures = [wilson(held // 2, held) for held in items]
    weighted = [Weighted(figure, part.weight) for figure, part in zip(figures, parts, strict=True)]
    return overall(weighted).half_width


@access.requires()
def leaderboard(request: HttpRequest, pk: int) -> HttpResponseBase:
    """`?phase=`, `?show=best|latest|every`, `?section=`, `?metric=`; `?as=csv` or `json` takes it away."""
    benchmark = benchmark_or_404(request, pk)
    phase = phase_of(benchmark, whole(request.GET.get("phase")))
    view = view_asked(request)
    board = leaderboard_of(benchmark, phase, view)
    if (kind := request.GET.get("as", "")) in ("csv", "json"):
        return exported(request, board, kind)
    return tab_page(request, benchmark, "leaderboard", board_context(benchmark, board, view))


def view_asked(request: HttpRequest) -> View:
    show = request.GET.get("show", "best")
    return View(
        show=show if show in SHOWN_PER_MODEL else "best",
        section=request.GET.get("section", "")[:120],
        metric=request.GET.get("metric", "")[:80],
    )


def board_context(benchmark: Benchmark, board: Leaderboard, view: View) -> dict[str, Any]:
    sections = [section["name"] for part in board.parts for section in part.version.sections]
    metrics = [name for part in board.parts for name in _names(part) if name != part.primary]
    weights = shares([part.weight for part in board.parts]) if board.parts else []
    return {
        "board": board,
        "view": view,
        "phase": board.phase,
        "phase_list": list(benchmark.phases.all()),
        "sections": [name for name in dict.fromkeys(sections) if name],
        "metrics": list(dict.fromkeys(metrics)),
        "shows": SHOWN_PER_MODEL.items(),
        "weighted": list(zip(board.parts, weights, strict=True)),
    }


def _names(part: Any) -> list[str]:
    return [scorer.get("name") or scorer["key"] for scorer in part.scorers] + [
        judge.judge.name for judge in part.judges.all()
    ]


def exported(request: HttpRequest, board: Leaderboard, kind: str) -> HttpResponseBase:
    name = f"{board.benchmark.slug}-leaderboard.{kind}"
    if kind == "csv":
        return download(
            request, leaderboard_csv(board), filename=name, content_type="text/csv; charset=utf-8"
        )
    text = encoded(leaderboard_document(board))
    return download(request, [text], filename=name, content_type="application/json")


@access.requires()
def evaluations(request: HttpRequest, pk: int) -> HttpResponse:
    """`?phase=`, `?status=`, `?q=` (model or person) filter; newest first."""
    benchmark = benchmark_or_404(request, pk)
    query = request.GET
    wanted: dict[str, Any] = {
        "q": query.get("q", "").strip()[:200],
        "phase": whole(query.get("phase")),
        "status": query.get("status", "") if query.get("status", "") in STATUSES else "",
    }
    rows = evaluations_of(benchmark.workspace).filter(benchmark=benchmark)
    if wanted["q"]:
        rows = rows.filter(evaluations_named(wanted["q"]))
    if wanted["phase"]:
        rows = rows.filter(phase=wanted["phase"])
    if wanted["status"]:
        rows = rows.filter(evaluation__runs__status=wanted["status"]).distinct()
    page = keyset_page(
        rows, key="id", size=EVALUATIONS_A_PAGE, descending=True,
        before=whole(query.get("before")), after=whole(query.get("after")),
    )  # fmt: skip
    context = {
        "page": page,
        "found": all_scored(page.rows),
        "wanted": wanted,
        "filtered": any(wanted.values()),
        "phase_list": list(benchmark.phases.all()),
        "statuses": STATUSES,
    }
    return tab_page(request, benchmark, "evaluations", context)


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def evaluate(request: HttpRequest, pk: int) -> HttpResponse:
    """`?source=` lists models of that source; POST evaluates the chosen one and shows its page."""
    held, benchmark = held_by(request), benchmark_or_404(request, pk)
    phase = phase_of(benchmark, whole(request.GET.get("phase") or request.POST.get("phase")))
    problem = ""
    if request.method == "POST":
        wish = wish_of(request.POST.get("model", ""), phase.pk if phase else None)
        try:
            made = services.evaluate(held, benchmark, wish)
        except services.CannotEvaluate as error:
            problem = str(error)
        else:
            messages.success(request, f"{made.alias} is being evaluated.")
            return redirect("benchmarks:evaluation", held.workspace.slug, made.pk)
    return tab_page(request, benchmark, "evaluate", _evaluate_context(request, benchmark, phase, problem))


def wish_of(chosen: str, phase_id: int | None) -> services.EvaluationWish:
    """A posted model: its id, or `recorded:` and a name."""
    kind, _, name = chosen.partition(":")
    if kind == "recorded":
        return services.EvaluationWish(recorded_name=name[:200], phase_id=phase_id)
    return services.EvaluationWish(model_id=whole(chosen), phase_id=phase_id)


def _evaluate_context(
    request: HttpRequest, benchmark: Benchmark, phase: Phase | None, problem: str
) -> dict[str, Any]:
    parts = list(parts_of(benchmark))
    found = models_by_source(benchmark.workspace)
    names = recorded_by_all(parts)
    counts = {key: len(found[key]) for key in SOURCES} | {"recorded": len(names)}
    asked = request.GET.get("source", "")
    source = asked if asked in counts else next((key for key, count in counts.items() if count), "platform")
    held = [items_of(part, phase) for part in parts]
    models = found.get(source, [])
    return {
        "source": source,
        "sources": [(key, title, counts[key]) for key, title in {**SOURCES, "recorded": "Recorded"}.items()],
        "models": models,
        "names": names if source == "recorded" else [],
        "phase": phase,
        "phase_list": list(benchmark.phases.all()),
        "parts": parts,
        "items": sum(held),
        "half_width": precision(parts, held),
        "left": _left(request, phase),
        "problem": problem,
        "chosen": request.POST.get("model", ""),
    }


def _left(request: HttpRequest, phase: Phase | None) -> int | None:
    """What is left of a limit per person; a limit per model depends on the model."""
    if phase is None or phase.most_runs is None or phase.most_per != Phase.Per.PERSON:
        return None
    return max(0, phase.most_runs - used(phase, model=None, person=held_by(request).actor))
