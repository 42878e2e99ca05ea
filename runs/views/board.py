"""The board of active runs and the archive below it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from runs import selectors, selectors_pages
from runs.fragments import render_page
from runs.models import FINISHED_STATUSES, RunStatus
from runs.selectors import ArchiveFilter
from runs.views.asked import as_workspace_request, whole
from runs.views.launching import sheet_context
from workspaces import access

STATUSES = [(status.value, status.label) for status in RunStatus if status in FINISHED_STATUSES]


@access.requires()
def board(request: HttpRequest) -> HttpResponse:
    """`?launch=1` opens the launch sheet over it; every filter of the archive is in the URL."""
    held = as_workspace_request(request).access
    if request.headers.get("HX-Target") == "archive-rows":
        return render(request, "runs/_archive.html", {"can_edit": held.can_edit, **_archive(request)})
    cards = selectors.cards(selectors.board_runs(held.workspace))
    sizes = {card.cell_size for card in cards}
    context: dict[str, Any] = {
        "cards": cards,
        "counts": selectors.status_counts(held.workspace),
        "items_a_cell": sizes.pop() if len(sizes) == 1 else None,
        "can_edit": held.can_edit,
        "socket_query": "view=board",
    }
    if not cards and selectors_pages.is_new(held.workspace):
        context |= {"is_new": True, **selectors_pages.what_is_there(held.workspace)}
    else:
        context |= _archive(request)
    if held.can_edit and "launch" in request.GET:
        context |= sheet_context(request)
    return render(request, "runs/board.html", context)


def _archive(request: HttpRequest) -> dict[str, Any]:
    workspace, query = as_workspace_request(request).access.workspace, request.GET
    status = query.get("status", "")
    wanted = ArchiveFilter(
        q=query.get("q", "").strip()[:200],
        dataset=whole(query.get("dataset")),
        status=status if status in RunStatus else "",
    )
    sort = "finished" if query.get("sort") == "finished" else "-finished"
    return {
        "wanted": wanted,
        "sort": sort,
        "statuses": STATUSES,
        "datasets": selectors_pages.datasets_with_runs(workspace),
        "archive_count": selectors.archived(workspace, wanted).count(),
        "archive": selectors_pages.archive_rows(
            workspace,
            wanted,
            newest_first=sort == "-finished",
            after=query.get("after", ""),
            before=query.get("before", ""),
        ),
    }


@access.requires()
def fragments(request: HttpRequest) -> HttpResponse:
    """What a page shows live, again, for one whose socket was away; htmx swaps it by id."""
    held = as_workspace_request(request).access
    run_id = whole(request.GET.get("run"))
    if request.GET.get("view") == "run":
        return HttpResponse(render_page(held.workspace, [run_id] if run_id else [], "run", held.can_edit))
    ids = [run.pk for run in selectors.board_runs(held.workspace)]
    return HttpResponse(render_page(held.workspace, ids, "board", held.can_edit))
