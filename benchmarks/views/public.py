"""A leaderboard for whoever holds its link: read-only, without anything else of the workspace."""

from dataclasses import replace

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from benchmarks.models import Benchmark
from benchmarks.prose import rendered
from benchmarks.selectors import phase_of
from benchmarks.selectors_leaderboard import Leaderboard, leaderboard
from benchmarks.views.tabs import board_context, exported, view_asked
from runs.views.asked import whole
from workspaces import access


def for_the_world(found: Leaderboard) -> Leaderboard:
    """Without what only concerns the workspace: what failed there, and what it paid."""
    rows = [
        replace(row, cells={key: cell for key, cell in row.cells.items() if key != "cost"})
        for row in found.rows
    ]
    columns = [(key, title) for key, title in found.columns if key != "cost"]
    return replace(found, rows=rows, columns=columns, unranked=())


@access.public
@require_GET
def board(request: HttpRequest, token: str) -> HttpResponseBase:
    """A wrong or old link is a 404. The secret stands in the address, so nothing is told onwards."""
    rows = Benchmark.objects.exclude(public_token="").select_related("workspace")
    benchmark = get_object_or_404(rows, public_token=token)
    view = view_asked(request)
    found = for_the_world(leaderboard(benchmark, phase_of(benchmark, whole(request.GET.get("phase"))), view))
    if (kind := request.GET.get("as", "")) in ("csv", "json"):
        return exported(request, found, kind)
    context = board_context(benchmark, found, view) | {
        "benchmark": benchmark, "summary": rendered(benchmark.summary), "public": True,
    }  # fmt: skip
    answer = render(request, "benchmarks/public.html", context)
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
