"""Renaming a dataset, deleting it or one of its versions: each a dialog, and a page without script."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from datasets import selectors, services
from datasets.models import Dataset, DatasetVersion
from datasets.views.browse import dataset_of
from workspaces import access
from workspaces.access import WorkspaceRequest
from workspaces.models import Role


@require_http_methods(["GET", "HEAD", "POST"])
@access.requires(Role.EDITOR)
def rename(request: WorkspaceRequest, pk: int) -> HttpResponse:
    dataset = dataset_of(request, pk)
    given = {name: getattr(dataset, name) for name in ("name", *sorted(services.CARD_FIELDS))}
    problem = ""
    if request.method == "POST":
        given = {name: request.POST.get(name, kept) for name, kept in given.items()}
        try:
            services.dataset_rename(request.access, dataset, **given)
        except ValidationError as error:
            problem = " ".join(error.messages)
        else:
            return redirect("datasets:detail", request.access.workspace.slug, dataset.pk)
    context = {"dataset": dataset, "given": given, "problem": problem}
    template = "datasets/_rename.html" if request.htmx else "datasets/rename.html"
    return render(request, template, context, status=422 if problem and not request.htmx else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@access.requires(Role.EDITOR)
def dataset_delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    return deletion(request, dataset_of(request, pk), None)


@require_http_methods(["GET", "HEAD", "POST"])
@access.requires(Role.EDITOR)
def version_delete(request: WorkspaceRequest, pk: int, number: int) -> HttpResponse:
    versions = selectors.ready_versions(request.access.workspace)
    version = get_object_or_404(versions, dataset_id=pk, number=number)
    return deletion(request, version.dataset, version)


def deletion(request: WorkspaceRequest, dataset: Dataset, version: DatasetVersion | None) -> HttpResponse:
    """Asks until the typed words are right, then deletes."""
    expected = f"delete {dataset.name}" + (f" v{version.number}" if version else "")
    problem = ""
    if request.method == "POST":
        if " ".join(request.POST.get("confirm", "").split()).lower() != expected.lower():
            problem = "That is not the text; nothing was deleted."
        else:
            try:
                return _deleted(request, dataset, version)
            except services.InUse as error:
                problem = str(error)
    context = {"dataset": dataset, "version": version, "expected": expected, "problem": problem}
    template = "datasets/_delete.html" if request.htmx else "datasets/delete.html"
    return render(request, template, context, status=409 if problem and not request.htmx else 200)


def _deleted(request: WorkspaceRequest, dataset: Dataset, version: DatasetVersion | None) -> HttpResponse:
    slug, pk = request.access.workspace.slug, dataset.pk
    if version is None:
        services.dataset_delete(request.access, dataset)
        messages.success(request, f"Deleted {dataset.name}.")
        return redirect("datasets:list", slug)
    services.version_delete(request.access, version)
    messages.success(request, f"Deleted version {version.number} of {dataset.name}.")
    left = selectors.datasets_of(request.access.workspace).filter(pk=pk).exists()
    return redirect("datasets:detail", slug, pk) if left else redirect("datasets:list", slug)
