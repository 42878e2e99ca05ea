"""Reading: the list of datasets, one dataset with its items, downloads, images."""

import json
import re
from typing import Any

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from datasets import selectors
from datasets.exporters import EXPORTERS, Exporter
from datasets.images import MEDIA_TYPES
from datasets.models import Asset, Dataset, DatasetVersion
from evalportal.lib.streaming import download as streamed
from workspaces import access
from workspaces.access import WorkspaceRequest

NO_SECTION = "-"


@require_safe
@access.requires()
def dataset_list(request: WorkspaceRequest) -> HttpResponse:
    q = request.GET.get("q", "").strip()[:200]
    datasets = selectors.datasets_of(request.access.workspace)
    if q:
        datasets = datasets.filter(name__icontains=q)
    page = selectors.keyset_page(
        datasets, "name", after=request.GET.get("after"), before=request.GET.get("before")
    )
    return render(
        request, "datasets/list.html", {"datasets": page, "q": q, "can_edit": request.access.can_edit}
    )


def position_in(request: HttpRequest, name: str) -> int | None:
    """A position from the URL; whatever is not one counts as absent."""
    raw = request.GET.get(name, "")
    return int(raw) if re.fullmatch(r"[0-9]{1,9}", raw) else None


def dataset_of(request: WorkspaceRequest, pk: int) -> Dataset:
    return get_object_or_404(Dataset, workspace=request.access.workspace, pk=pk)


def chosen_version(dataset: Dataset, versions: list[DatasetVersion], number: str | None) -> DatasetVersion:
    """The version in the URL, else the latest. Raises Http404, also for a dataset that is not ready."""
    wanted = [version for version in versions if number is None or str(version.number) == number]
    if not wanted:
        raise Http404("No such version")
    wanted[0].dataset = dataset
    return wanted[0]


@require_safe
@access.requires()
def detail(request: WorkspaceRequest, pk: int) -> HttpResponse:
    dataset = dataset_of(request, pk)
    versions = list(selectors.versions_of(dataset))
    version = chosen_version(dataset, versions, request.GET.get("version"))
    wanted = wanted_items(request)
    items = selectors.items_of(version, q=wanted["q"], section=wanted["section"])
    opened = drawer(request, version, items)
    if request.htmx and request.htmx.target == "drawer":
        return render(request, "datasets/_drawer.html", {"version": version, **opened})
    page = selectors.keyset_page(
        selectors.listed(items), "position",
        after=position_in(request, "after"), before=position_in(request, "before"),
    )  # fmt: skip
    context = {
        "dataset": dataset, "versions": versions, "version": version, "items": page, "wanted": wanted,
        "count": items_count(version, items, wanted), "latest": versions[0],
        "can_edit": request.access.can_edit, **opened,
    }  # fmt: skip
    return render(request, "datasets/detail.html", context)


def wanted_items(request: HttpRequest) -> dict[str, Any]:
    section = request.GET.get("section", "")
    return {
        "q": request.GET.get("q", "").strip()[:200],
        "section": None if not section else "" if section == NO_SECTION else section,
    }


def items_count(version: DatasetVersion, items: Any, wanted: dict[str, Any]) -> str:
    """How many items fit the filter, in words; counted only where no figure is kept."""
    kept = {entry["name"]: entry["items"] for entry in version.sections}
    if wanted["q"]:
        count, exact = selectors.counted(items)
        found = f"{count:,}" if exact else f"more than {count:,}"
    elif wanted["section"] is not None:
        found = f"{kept.get(wanted['section'], 0):,}"
    else:
        return f"{version.item_count:,} {'item' if version.item_count == 1 else 'items'}"
    return f"{found} of {version.item_count:,}"


def drawer(request: HttpRequest, version: DatasetVersion, items: Any) -> dict[str, Any]:
    """The open item, if the URL names one, and its neighbours within the filter."""
    position = position_in(request, "item")
    item = selectors.item_at(version, position) if position else None
    if item is None:
        return {"item": None}
    previous, following = selectors.neighbours(items, item.position)
    named = [(letter_of(index), text) for index, text in enumerate(item.choices)]
    choices = [(letter, text, bool({letter, text} & set(item.references))) for letter, text in named]
    metadata = json.dumps(item.metadata, ensure_ascii=False, indent=2) if item.metadata else ""
    return {
        "item": item,
        "previous": previous,
        "following": following,
        "choices": choices,
        "metadata": metadata,
    }


def letter_of(index: int) -> str:
    """A … Z, then numbers."""
    return chr(ord("A") + index) if index < 26 else str(index + 1)


@require_safe
@access.requires()
def download(request: WorkspaceRequest, pk: int, number: int, key: str) -> HttpResponseBase:
    version = get_object_or_404(
        selectors.ready_versions(request.access.workspace), dataset_id=pk, number=number
    )
    if key not in EXPORTERS:
        raise Http404("No such format")
    exporter: Exporter = EXPORTERS[key]()
    name = f"{slugify(version.dataset.name) or 'dataset'}-v{version.number}.{key}"
    return streamed(request, exporter.parts(version), filename=name, content_type=exporter.content_type)


@require_safe
@access.requires()
def asset(request: WorkspaceRequest, sha256: str) -> HttpResponseBase:
    """An image of this workspace, as nothing but an image."""
    found = get_object_or_404(Asset, workspace=request.access.workspace, sha256=sha256)
    known = found.media_type in MEDIA_TYPES.values()
    try:
        file = found.path.open("rb")
    except FileNotFoundError as error:
        raise Http404("The image is gone") from error
    media_type = found.media_type if known else "application/octet-stream"
    name = f"{found.sha256[:12]}.{media_type.rpartition('/')[2]}"
    response = FileResponse(file, content_type=media_type, as_attachment=not known, filename=name)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response
