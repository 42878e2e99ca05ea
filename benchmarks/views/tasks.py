"""Evaluating several models on several benchmarks at once: choose, watch, compare, take away, delete."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from benchmarks import services
from benchmarks.exports import zipped
from benchmarks.models import EvaluationTask
from benchmarks.selectors import benchmarks_listed, benchmarks_of, tasks_of
from benchmarks.selectors_evaluate import SOURCES, models_by_source
from benchmarks.selectors_tasks import table_of
from benchmarks.views.asked import confirm_page, held_by, typed
from benchmarks.views.tabs import wish_of
from evalportal.lib.streaming import download
from runs.views.asked import is_htmx, whole
from workspaces import access
from workspaces.models import Role


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def together(request: HttpRequest) -> HttpResponse:
    """`?benchmark=3&benchmark=4` are chosen already."""
    held, problem = held_by(request), ""
    given = request.POST if request.method == "POST" else request.GET
    chosen = [pk for text in given.getlist("benchmark") if (pk := whole(text))]
    models = given.getlist("model")
    if request.method == "POST":
        try:
            task = services.task_create(
                held,
                benchmarks=list(benchmarks_of(held.workspace).filter(pk__in=chosen)),
                wishes=[wish_of(text, None) for text in dict.fromkeys(models)],
                name=request.POST.get("name", "")[:120],
            )
        except services.CannotEvaluate as error:
            problem = str(error)
        else:
            return redirect("benchmarks:task", held.workspace.slug, task.pk)
    found = models_by_source(held.workspace)
    context: dict[str, Any] = {
        "benchmarks": benchmarks_listed(held.workspace),
        "shelves": [(title, found[key]) for key, title in SOURCES.items() if found[key]],
        "chosen": chosen,
        "chosen_models": models,
        "problem": problem,
    }
    return render(request, "benchmarks/together.html", context, status=422 if problem else 200)


def task_or_404(request: HttpRequest, pk: int) -> EvaluationTask:
    return get_object_or_404(tasks_of(held_by(request).workspace), pk=pk)


@access.requires()
def task(request: HttpRequest, pk: int) -> HttpResponse:
    """A row a model, a column a benchmark, the overall score first; it renews itself until all is done."""
    row = task_or_404(request, pk)
    context = {"task": row, "table": table_of(row), "can_edit": held_by(request).can_edit}
    alone = is_htmx(request) and request.headers.get("HX-Target") == "task-table"
    return render(request, "benchmarks/_task_table.html" if alone else "benchmarks/task.html", context)


@access.requires()
def task_download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Every file of every evaluation."""
    table = table_of(task_or_404(request, pk))
    return download(request, zipped(table.found), filename=f"task-{pk}.zip", content_type="application/zip")


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def task_delete(request: HttpRequest, pk: int) -> HttpResponse:
    held, row = held_by(request), task_or_404(request, pk)
    words = f"delete {pk}"
    if request.method == "POST" and typed(request, words):
        services.task_delete(held, row)
        messages.success(request, f"Task {row.name} is deleted.")
        return redirect("benchmarks:list", held.workspace.slug)
    context = {
        "title": f"task {row.name}",
        "words": words,
        "told": f"Its {row.evaluations.count():,} evaluations with all their responses are removed.",
        "back": "..",
        "problem": f"Type {words} to confirm." if request.method == "POST" else "",
    }
    return confirm_page(request, context)
