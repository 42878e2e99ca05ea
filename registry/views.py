"""Pages of the registry: the workspace's models, one model, and testing its connection. All read-only."""

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from registry import selectors, services
from registry.models import RegisteredModel, Source
from registry.selectors import ModelFilter
from workspaces import access
from workspaces.access import WorkspaceRequest
from workspaces.models import Role

SHOWN_AT_MOST = 300


@access.requires()
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """The filter is in the URL; htmx swaps the rows."""
    workspace = cast(WorkspaceRequest, request).access.workspace
    wanted = ModelFilter.of(request.GET)
    everything = selectors.usable_in(workspace)
    found = list(wanted.apply(selectors.by_title(everything))[: SHOWN_AT_MOST + 1])
    context = {
        "models": found[:SHOWN_AT_MOST],
        "more": len(found) > SHOWN_AT_MOST,
        "wanted": wanted,
        "sources": Source.choices,
        "providers": selectors.providers_for(workspace),
    }
    return render(request, "registry/models.html", context)


@access.requires()
@require_safe
def model(request: HttpRequest, pk: int) -> HttpResponse:
    row = _found(request, pk)
    children = selectors.fine_tunes_of(row, cast(WorkspaceRequest, request).access.workspace)
    return render(request, "registry/model.html", {"model": row, "fine_tunes": children})


@access.requires(Role.EDITOR)
@require_POST
def probe(request: HttpRequest, pk: int) -> HttpResponse:
    """Tests the connection now: a fragment for htmx, else back to the page with a message."""
    row = _found(request, pk)
    result = services.model_probe(cast(WorkspaceRequest, request).access, row)
    if cast(WorkspaceRequest, request).htmx:
        return render(request, "registry/_health_panel.html", {"model": row, "result": result})
    if result.success:
        messages.success(request, f"{row} answered in {result.latency_ms} ms: {result.preview}")
    else:
        messages.error(request, result.message)
    return redirect("registry:model", cast(WorkspaceRequest, request).access.workspace.slug, row.pk)


def _found(request: HttpRequest, pk: int) -> RegisteredModel:
    workspace = cast(WorkspaceRequest, request).access.workspace
    return get_object_or_404(selectors.registered_in(workspace), pk=pk)
