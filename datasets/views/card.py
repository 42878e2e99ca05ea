"""The dataset's card: what it is, where it is from, and what a look at all its items shows."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from datasets import selectors
from datasets.profile import profile_of
from datasets.views.browse import chosen_version, dataset_of
from workspaces import access
from workspaces.access import WorkspaceRequest


@require_safe
@access.requires()
def card(request: WorkspaceRequest, pk: int) -> HttpResponse:
    dataset = dataset_of(request, pk)
    version = chosen_version(dataset, list(selectors.versions_of(dataset)), request.GET.get("version"))
    pair = selectors.pair_in(version)
    context = {
        "pair": selectors.item_at(version, 1) if pair else None,
        "dataset": dataset, "version": version, "profile": profile_of(version),
        "can_edit": request.access.can_edit,
    }  # fmt: skip
    return render(request, "datasets/card.html", context)
