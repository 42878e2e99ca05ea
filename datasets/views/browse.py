"""Reading: the list of datasets, one dataset with its items, downloads, images."""

import json
import re
from typing import Any

from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from datasets import selectors
from datasets.exporters import EXPORTERS
from datasets.exporters.response import export_response
from datasets.filters import CHECKS, KINDS, ItemFilter
from datasets.images import MEDIA_TYPES
from datasets.models import Asset, Dataset, DatasetVersion, Item
from datasets.subsets import subset_items
from workspaces import access
from workspaces.access import WorkspaceRequest


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
    wanted = ItemFilter.of(request.GET)
    items = selectors.items_of(version, wanted)
    chosen = position_in(request, "subset")
    subset = dataset.subsets.filter(pk=chosen).first() if chosen else None
    if subset:
        items = items.filter(pk__in=subset_items(subset, version).values("pk"))
    opened = drawer(request, version, items)
    if request.htmx and request.htmx.target == "drawer":
        context = {"version": version, "can_edit": request.access.can_edit, **opened}
        return render(request, "datasets/_drawer.html", context)
    context = {
        "dataset": dataset, "versions": versions, "version": version, "latest": versions[0],
        "draft": selectors.draft_of(dataset), "can_edit": request.access.can_edit,
        "subset": subset, "subsets": dataset.subsets.all(), "pair": selectors.pair_in(version),
        **item_list(request, version, items, wanted, version.sections), **opened,
    }  # fmt: skip
    return render(request, "datasets/detail.html", context)


def item_list(
    request: HttpRequest,
    version: DatasetVersion,
    items: QuerySet[Item],
    wanted: ItemFilter,
    sections: list[dict[str, Any]],
) -> dict[str, Any]:
    """A page of items and the choices of its filter bar."""
    page = selectors.keyset_page(
        selectors.listed(items), "position",
        after=position_in(request, "after"), before=position_in(request, "before"),
    )  # fmt: skip
    total = sum(section["items"] for section in sections) if sections else version.item_count
    return {
        "items": page,
        "wanted": wanted,
        "sections": sections,
        "kinds": [(key, title) for key, (title, _) in KINDS.items()],
        "checks": CHECKS.items(),
        "tags": selectors.tags_in(version),
        "names": selectors.metadata_names(version),
        "count": items_count(total, items, page, wanted, sections, plain="subset" not in request.GET),
        "narrow": bool(set(wanted.to_json()) & {"kind", "tag", "meta", "value", "check"}),
    }


def items_count(
    total: int,
    items: QuerySet[Item],
    page: selectors.Page[Item, int],
    wanted: ItemFilter,
    sections: list[dict[str, Any]],
    *,
    plain: bool,
) -> str:
    """How many items fit the filter, in words; counted only where neither a figure nor the page tells."""
    if plain and not wanted.to_json():
        return f"{total:,} {'item' if total == 1 else 'items'}"
    if plain and wanted.only_section:
        kept = {entry["name"]: entry["items"] for entry in sections}
        found = f"{kept.get(wanted.section_name, 0):,}"
    elif page.newer is None and page.older is None:
        found = f"{len(page.rows):,}"
    else:
        count, exact = selectors.counted(items)
        found = f"{count:,}" if exact else f"more than {count:,}"
    return f"{found} of {total:,}"


def drawer(request: HttpRequest, version: DatasetVersion, items: Any) -> dict[str, Any]:
    """The open item, if the URL names one, and its neighbours within the filter."""
    position = position_in(request, "item")
    item = selectors.item_at(version, position) if position else None
    if item is None:
        return {"item": None}
    previous, following = selectors.neighbours(items, item.position)
    named = [(letter_of(index), text) for index, text in enumerate(item.choices)]
    choices = [(letter, text, bool({letter, text} & set(item.references))) for letter, text in named]
    plain, paired = item.plain_metadata, {model for _, model, _ in item.pair}
    return {
        "item": item,
        "previous": previous,
        "following": following,
        "choices": choices,
        "metadata": json.dumps(plain, ensure_ascii=False, indent=2) if plain else "",
        "other_models": [name for name in version.response_models if name not in paired],
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
    return export_response(request, version, key)


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
