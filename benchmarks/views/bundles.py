"""Bundles: taking a benchmark away, and making one from a file."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from benchmarks.bundles.archive import BadBundle
from benchmarks.bundles.writing import bundle
from benchmarks.selectors import parts_of
from benchmarks.services.importing import bundle_import
from benchmarks.views.asked import benchmark_or_404, held_by
from benchmarks.wish import BenchmarkProblems
from evalportal.lib.streaming import download
from workspaces import access
from workspaces.models import Role


@access.requires()
def export(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The benchmark with its items as a zip."""
    benchmark = benchmark_or_404(request, pk)
    pieces = bundle(benchmark, list(parts_of(benchmark)))
    return download(request, pieces, filename=f"{benchmark.slug}.zip", content_type="application/zip")


@access.requires(Role.EDITOR)
@require_http_methods(["GET", "POST"])
def import_(request: HttpRequest) -> HttpResponse:
    """A file, and a name if the bundle's own is not wanted."""
    held, problem = held_by(request), ""
    if request.method == "POST":
        file = request.FILES.get("file")
        try:
            if file is None or file.file is None:
                raise BadBundle("Choose a file.")
            made = bundle_import(held, file.file, name=request.POST.get("name", "").strip()[:120])
        except (BadBundle, BenchmarkProblems) as error:
            problem = str(error)
        else:
            messages.success(request, f"{made.benchmark.name} is imported.")
            for words in made.left_out[:30]:
                messages.warning(request, words)
            return redirect("benchmarks:overview", held.workspace.slug, made.benchmark.pk)
    return render(request, "benchmarks/import.html", {"problem": problem}, status=422 if problem else 200)
