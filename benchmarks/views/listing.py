"""The list of benchmarks; making, changing, archiving, publishing and deleting one."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from benchmarks import services
from benchmarks.forms import BenchmarkForm
from benchmarks.models import Benchmark
from benchmarks.selectors import benchmarks_listed, tasks_of
from benchmarks.views.asked import benchmark_or_404, confirm_page, held_by, typed
from benchmarks.wish import BenchmarkProblems
from runs.views.asked import whole
from workspaces import access
from workspaces.models import Role

TASKS_SHOWN = 20


@access.requires()
def listing(request: HttpRequest) -> HttpResponse:
    """`?q=` searches, `?archived=1` shows those put away."""
    held, q = held_by(request), request.GET.get("q", "").strip()[:200]
    archived = request.GET.get("archived") == "1"
    context = {
        "benchmarks": benchmarks_listed(held.workspace, archived=archived, q=q),
        "tasks": list(tasks_of(held.workspace)[:TASKS_SHOWN]),
        "q": q,
        "archived": archived,
        "can_edit": held.can_edit,
    }
    return render(request, "benchmarks/list.html", context)


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    return _form(request, None)


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    return _form(request, benchmark_or_404(request, pk))


def _form(request: HttpRequest, old: Benchmark | None) -> HttpResponse:
    """`add` posts for another part or phase without saving."""
    held = held_by(request)
    context = {"old": old, "cancel": old.get_absolute_url() if old else None}
    if request.method == "GET":
        form = BenchmarkForm(held.workspace, old=old, version=whole(request.GET.get("dataset_version")))
        return render(request, "benchmarks/form.html", context | {"form": form})
    data = request.POST.copy()
    added = request.POST.get("add", "")
    if added in ("part", "phase"):
        name = f"{added}-TOTAL_FORMS"
        data[name] = str(min(40, (whole(data.get(name)) or 0) + 1))
        form = BenchmarkForm(held.workspace, data, old=old)
        return render(request, "benchmarks/form.html", context | {"form": form, "adding": True})
    form = BenchmarkForm(held.workspace, data, old=old)
    if form.is_valid():
        try:
            made = _save(held, form, old)
        except BenchmarkProblems as error:
            form.add_problems(error.problems)
        else:
            messages.success(request, f"{made.name} is saved.")
            return redirect("benchmarks:overview", held.workspace.slug, made.pk)
    return render(request, "benchmarks/form.html", context | {"form": form}, status=422)


def _save(held: access.Access, form: BenchmarkForm, old: Benchmark | None) -> Benchmark:
    if old is None:
        return services.benchmark_create(held, form.wish())
    services.benchmark_update(held, old, form.wish())
    return old


@access.requires(Role.EDITOR)
@require_POST
def archive(request: HttpRequest, pk: int) -> HttpResponse:
    """`archived=0` takes it out of the archive."""
    benchmark, archived = benchmark_or_404(request, pk), request.POST.get("archived") != "0"
    services.benchmark_archive(held_by(request), benchmark, archived)
    words = "is archived: it keeps its leaderboard and takes no evaluations" if archived else "is back"
    messages.success(request, f"{benchmark.name} {words}.")
    return redirect("benchmarks:overview", held_by(request).workspace.slug, pk)


@access.requires(Role.OWNER)
@require_POST
def publish(request: HttpRequest, pk: int) -> HttpResponse:
    """`public=0` turns the link off."""
    benchmark, public = benchmark_or_404(request, pk), request.POST.get("public") != "0"
    services.benchmark_publish(held_by(request), benchmark, public)
    words = "Who has the link reads this leaderboard" if public else "The public link is off"
    messages.success(request, f"{words}.")
    return redirect("benchmarks:overview", held_by(request).workspace.slug, pk)


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """With all its evaluations and their runs."""
    held, benchmark = held_by(request), benchmark_or_404(request, pk)
    words = f"delete {benchmark.name}"
    if request.method == "POST" and typed(request, words):
        services.benchmark_delete(held, benchmark)
        messages.success(request, f"{benchmark.name} is deleted.")
        return redirect("benchmarks:list", held.workspace.slug)
    count = benchmark.evaluations.count()
    context = {
        "title": benchmark.name,
        "words": words,
        "told": f"The benchmark, its {count:,} evaluations and all their responses are removed for everyone.",
        "back": benchmark.get_absolute_url(),
        "problem": f"Type {words} to confirm." if request.method == "POST" else "",
    }
    return confirm_page(request, context)
