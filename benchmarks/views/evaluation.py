"""One evaluation: live while it goes on, then its score breakdown in the same place; its files; its end."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from benchmarks import services
from benchmarks.exports import FILES, zipped
from benchmarks.selectors import Scored, evaluation_counts, made_of_misses
from benchmarks.views.asked import confirm_page, evaluation_or_404, held_by, typed
from evalportal.lib.streaming import download
from runs import selectors
from runs.models import Run
from runs.selectors import TrialFilter
from runs.views.asked import is_htmx, whole
from workspaces import access
from workspaces.models import Role

LOG_SHOWN = 100
VERDICTS = {"": "Every item", "correct": "Correct", "incorrect": "Incorrect", "unscored": "Unscored"}


@access.requires()
def evaluation(request: HttpRequest, pk: int) -> HttpResponse:
    """`?part=2` shows that part's items, `?verdict=incorrect` those alone."""
    found = evaluation_or_404(request, pk)
    context = _context(request, found)
    if not found.finished:
        run = watched(found)
        context |= {
            "run": run,
            "card": selectors.card(run),
            "lines": selectors.log_lines(run, last=LOG_SHOWN),
            "socket_query": f"view=run&run={run.pk}",
        }
        return render(request, "benchmarks/evaluation.html", context)
    context |= _items(request, found)
    alone = is_htmx(request) and request.headers.get("HX-Target") == "evaluation-items"
    return render(request, "benchmarks/_items.html" if alone else "benchmarks/evaluation.html", context)


def _context(request: HttpRequest, found: Scored) -> dict[str, Any]:
    held = held_by(request)
    return {
        "found": found,
        "benchmark": found.row.benchmark,
        "evaluation_count": evaluation_counts(found.row.benchmark),
        "tab": "evaluations",
        "files": [(kind, name) for kind, (name, _, _) in FILES.items()],
        "can_edit": held.can_edit,
    }


def watched(found: Scored) -> Run:
    """The run whose log is shown: the first that goes on, else the first judging that does."""
    going = [run for run in found.runs if not run.is_finished]
    judging = [each for run in found.runs for each in run.judgings.all() if not each.is_finished]
    first = (going or judging)[0]
    return selectors.full_run(found.row.benchmark.workspace, first.pk) or first


def _items(request: HttpRequest, found: Scored) -> dict[str, Any]:
    number = min(whole(request.GET.get("part")) or 1, max(1, len(found.parts)))
    verdict = request.GET.get("verdict", "")
    run = found.parts[number - 1].run if found.parts else None
    page = None
    if run:
        page = selectors.trial_page(
            run,
            TrialFilter(verdict=verdict if verdict in VERDICTS else ""),
            before=whole(request.GET.get("before")),
            after=whole(request.GET.get("after")),
        )
    return {
        "misses": made_of_misses(found), "part_number": number, "items_run": run,
        "trials": page, "verdict": verdict, "verdicts": VERDICTS.items(),
    }  # fmt: skip


@access.requires()
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """What the page asks for every few seconds: progress, or once all is done the breakdown in its place."""
    found = evaluation_or_404(request, pk)
    if found.finished:
        context = _context(request, found) | _items(request, found) | {"arrived": True}
        return render(request, "benchmarks/_breakdown.html", context)
    if str(watched(found).pk) != request.GET.get("run", ""):
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return render(request, "benchmarks/_progress.html", _context(request, found) | {"run": watched(found)})


@access.requires()
def files(request: HttpRequest, pk: int, kind: str) -> HttpResponseBase:
    """A file of the evaluation, or all of them as `zip`."""
    found = evaluation_or_404(request, pk)
    if kind == "zip":
        return download(
            request, zipped([found]), filename=f"evaluation-{pk}.zip", content_type="application/zip"
        )
    if kind not in FILES:
        raise Http404("No such file")
    name, content_type, stream = FILES[kind]
    answer = download(request, stream(found), filename=f"evaluation-{pk}-{name}", content_type=content_type)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


@access.requires(Role.EDITOR)
@require_POST
def baseline(request: HttpRequest, pk: int) -> HttpResponse:
    """`baseline=0` takes the mark away."""
    found = evaluation_or_404(request, pk)
    wanted = request.POST.get("baseline") != "0"
    services.baseline_set(held_by(request), found.row, wanted)
    messages.success(request, f"{found.row.alias} is {'a' if wanted else 'no longer a'} baseline.")
    return redirect("benchmarks:evaluation", held_by(request).workspace.slug, pk)


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """With its runs, for good, after the typed words."""
    held, found = held_by(request), evaluation_or_404(request, pk)
    words = f"delete {pk}"
    if request.method == "POST" and typed(request, words):
        services.benchmark_evaluation_delete(held, found.row)
        messages.success(request, f"The evaluation of {found.row.alias} is deleted.")
        return redirect("benchmarks:evaluations", held.workspace.slug, found.row.benchmark_id)
    context = {
        "title": f"the evaluation of {found.row.alias}",
        "words": words,
        "told": f"Its {found.done:,} responses, scores and files are removed for everyone.",
        "back": found.row.benchmark.get_absolute_url(),
        "problem": f"Type {words} to confirm." if request.method == "POST" else "",
    }
    return confirm_page(request, context)
