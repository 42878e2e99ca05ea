"""Reading what a request asks for, and what every tab of a benchmark shows."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from benchmarks.models import Benchmark, BenchmarkEvaluation
from benchmarks.selectors import Scored, benchmarks_of, evaluation_counts, evaluations_of, scored
from runs.views.asked import as_workspace_request, is_htmx
from workspaces.access import Access


def held_by(request: HttpRequest) -> Access:
    return as_workspace_request(request).access


def benchmark_or_404(request: HttpRequest, pk: int) -> Benchmark:
    """A benchmark of the request's workspace; any other is a 404."""
    return get_object_or_404(benchmarks_of(held_by(request).workspace), pk=pk)


def evaluation_or_404(request: HttpRequest, pk: int) -> Scored:
    """An evaluation of the request's workspace with its scores; any other is a 404."""
    row: BenchmarkEvaluation = get_object_or_404(evaluations_of(held_by(request).workspace), pk=pk)
    return scored(row)


def tab_page(request: HttpRequest, benchmark: Benchmark, tab: str, context: dict[str, Any]) -> HttpResponse:
    """A tab within the benchmark's page, or alone where htmx asks for it."""
    whole = context | {
        "benchmark": benchmark,
        "tab": tab,
        "tab_template": f"benchmarks/_{tab}.html",
        "evaluation_count": evaluation_counts(benchmark),
        "can_edit": held_by(request).can_edit,
        "can_manage": held_by(request).can_manage,
    }
    alone = is_htmx(request) and request.headers.get("HX-Target") == "tab"
    return render(request, whole["tab_template"] if alone else "benchmarks/benchmark.html", whole)


def typed(request: HttpRequest, words: str) -> bool:
    """Whether the confirmation was typed as asked."""
    return " ".join(request.POST.get("confirm", "").lower().split()) == words.lower()


def confirm_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Asks for the typed words: in a dialog for htmx, else as a page."""
    template = "benchmarks/_delete.html" if is_htmx(request) else "benchmarks/delete.html"
    return render(request, template, context, status=422 if context.get("problem") else 200)
