"""Gates: their rulings on a model, adding and removing them."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from benchmarks.junit import junit_xml
from benchmarks.models import Benchmark
from benchmarks.rules import RULES
from benchmarks.selectors import evaluations_of
from benchmarks.selectors_gates import Candidate, Report, benchmark_report, dataset_report, gates_of
from benchmarks.services.gates import BadGate, gate_create, gate_delete
from benchmarks.views.asked import benchmark_or_404, held_by, tab_page
from datasets.models import Dataset
from datasets.selectors import datasets_of
from judges.options import option_fields
from judges.selectors import judges_of
from runs.models import RunStatus
from runs.selectors import listed
from runs.services.freezing import scorer_name
from runs.views.asked import whole
from workspaces import access
from workspaces.access import Access
from workspaces.models import Role

NAMES = 200


def rules(held: Access, models: Sequence[str], scorers: Iterable[str]) -> list[dict[str, Any]]:
    """Each with its words and options, and the names that may be meant, for the form."""
    judges = judges_of(held.workspace).values_list("name", flat=True)
    offered = {"models": models, "scorers": [*dict.fromkeys(scorers)], "judges": judges}
    return [
        {
            "key": key,
            "title": RULES[key].title,
            "description": RULES[key].description,
            "options": [(each, offered.get(each.offers, ())) for each in option_fields(RULES[key])],
        }
        for key in RULES
    ]


@access.requires()
@require_http_methods(["GET", "POST"])
def benchmark_gates(request: HttpRequest, pk: int) -> HttpResponseBase:
    """`?model=` or `?evaluation=` is put to them; `?as=junit` or `json` takes the report away. POST adds."""
    benchmark = benchmark_or_404(request, pk)
    if request.method == "POST":
        _add(request, benchmark)
        return redirect("benchmarks:gates", benchmark.workspace.slug, pk)
    report = benchmark_report(benchmark, candidate_of(request))
    if (kind := request.GET.get("as", "")) in ("junit", "json"):
        return reported(report, kind)
    rows = evaluations_of(benchmark.workspace).filter(benchmark=benchmark)
    aliases = list(dict.fromkeys(rows.values_list("alias", flat=True)[:NAMES]))
    scorers = (scorer_name(each) for part in benchmark.parts.all() for each in part.scorers)
    context = {
        "report": report,
        "rules": rules(held_by(request), aliases, scorers),
        "aliases": aliases,
        "model": request.GET.get("model", ""),
    }
    return tab_page(request, benchmark, "gates", context)


def candidate_of(request: HttpRequest) -> Candidate:
    query = request.GET
    return Candidate(query.get("model", "")[:120], whole(query.get("evaluation")), whole(query.get("run")))


def reported(report: Report, kind: str) -> HttpResponseBase:
    if kind == "junit":
        return HttpResponse(junit_xml(report), content_type="application/xml")
    return JsonResponse(report.as_json())


def _add(request: HttpRequest, of: Benchmark | Dataset) -> None:
    """Viewers may not; what cannot be is said above the list."""
    held = held_by(request)
    if not held.can_edit:
        raise PermissionDenied("This needs the role editor.")
    rule = request.POST.get("rule", "")
    names = [each.name for each in option_fields(RULES[rule])] if rule in RULES else []
    given = {name: request.POST.get(f"{rule}.{name}", "").strip() for name in names}
    try:
        gate_create(held, of, rule=rule, options={name: value for name, value in given.items() if value})
    except BadGate as error:
        messages.error(request, str(error))


@access.requires()
@require_http_methods(["GET", "POST"])
def dataset_gates(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The same for a dataset: candidate and baseline are runs on it."""
    held = held_by(request)
    dataset = get_object_or_404(datasets_of(held.workspace), pk=pk)
    if request.method == "POST":
        _add(request, dataset)
        return redirect("benchmarks:dataset_gates", held.workspace.slug, pk)
    report = dataset_report(dataset, candidate_of(request))
    if (kind := request.GET.get("as", "")) in ("junit", "json"):
        return reported(report, kind)
    runs = listed(held.workspace).filter(dataset_version__dataset=dataset, status=RunStatus.COMPLETED)
    done = runs.order_by("-id")[:NAMES]
    aliases = list(dict.fromkeys(run.alias for run in done))
    context = {
        "dataset": dataset,
        "report": report,
        "rules": rules(held, aliases, (name for run in done for name in run.scorer_names)),
        "aliases": aliases,
        "can_edit": held.can_edit,
        "model": request.GET.get("model", ""),
    }
    return render(request, "benchmarks/dataset_gates.html", context)


@access.requires(Role.EDITOR)
@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    held = held_by(request)
    gate = get_object_or_404(gates_of(held.workspace), pk=pk)
    gate_delete(held, gate)
    if gate.benchmark_id:
        return redirect("benchmarks:gates", held.workspace.slug, gate.benchmark_id)
    return redirect("benchmarks:dataset_gates", held.workspace.slug, gate.dataset_id)
