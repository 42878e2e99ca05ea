"""Saved parts of a dataset."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from datasets import selectors
from datasets import services_drafts as services
from datasets.filters import ItemFilter
from datasets.views.browse import chosen_version, dataset_of
from workspaces import access
from workspaces.access import WorkspaceRequest
from workspaces.models import Role

NUMBERS = ("size", "seed")


@require_http_methods(["GET", "HEAD", "POST"])
@access.requires(Role.EDITOR)
def subsets(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Saves the filter of the address as a subset; lists those there are."""
    dataset = dataset_of(request, pk)
    versions = list(selectors.versions_of(dataset))
    version = chosen_version(dataset, versions, request.GET.get("version"))
    wanted = ItemFilter.of(request.GET)
    problems: dict[str, str] = {}
    if request.method == "POST":
        try:
            numbers = {name: _number(name, request.POST.get(name, "")) for name in NUMBERS}
            made = services.subset_create(
                request.access, dataset, name=request.POST.get("name", ""), wanted=wanted, **numbers
            )
        except ValidationError as error:
            problems = {name: " ".join(words) for name, words in error.message_dict.items()}
        else:
            messages.success(request, f"Saved the subset {made.name}.")
            return redirect("datasets:detail", request.access.workspace.slug, pk)
    count, exact = selectors.counted(selectors.items_of(version, wanted))
    context = {
        "dataset": dataset, "version": version, "wanted": wanted, "problems": problems,
        "given": request.POST, "count": count, "exact": exact, "subsets": dataset.subsets.all(),
    }  # fmt: skip
    return render(request, "datasets/subsets.html", context, status=422 if problems else 200)


def _number(name: str, text: str) -> int | None:
    text = text.strip().replace(",", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise ValidationError({name: "A whole number."})
    return int(text)


@require_POST
@access.requires(Role.EDITOR)
def subset_delete(request: WorkspaceRequest, pk: int, subset_id: int) -> HttpResponse:
    dataset = dataset_of(request, pk)
    subset = get_object_or_404(dataset.subsets, pk=subset_id)
    services.subset_delete(request.access, subset)
    messages.success(request, f"Deleted the subset {subset.name}. Runs keep what they were asked.")
    return redirect("datasets:subsets", request.access.workspace.slug, pk)
