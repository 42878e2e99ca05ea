"""What is read of datasets, always within one workspace; hidden versions are never seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Count, Model, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Left

from datasets.filters import ItemFilter
from datasets.models import Dataset, DatasetVersion, Draft, Item, ItemAsset, Upload
from workspaces.models import User, Workspace

Row = TypeVar("Row")
Cursor = TypeVar("Cursor")
M = TypeVar("M", bound=Model)
C = TypeVar("C", int, str)
PAGE_ROWS = 50
EXPORT_ROWS = 500
COUNTED = 1000
TAGS_READ = 2000
METADATA_READ = 100


def uploads_of(workspace: Workspace, user: User) -> QuerySet[Upload]:
    """The person's own uploads in this workspace."""
    return Upload.objects.filter(workspace=workspace, created_by=user)


def ready_versions(workspace: Workspace) -> QuerySet[DatasetVersion]:
    """Visible versions, newest first, with their dataset."""
    return (
        DatasetVersion.objects.filter(dataset__workspace=workspace, ready_at__isnull=False)
        .select_related("dataset")
        .order_by("-ready_at", "-id")
    )


def datasets_of(workspace: Workspace) -> QuerySet[Dataset]:
    """Datasets with a visible version, by name, with `version_count` and the latest version's columns."""
    latest = DatasetVersion.objects.filter(dataset=OuterRef("pk"), ready_at__isnull=False).order_by("-number")
    return (
        Dataset.objects.filter(workspace=workspace)
        .annotate(version_count=Count("versions", filter=Q(versions__ready_at__isnull=False)))
        .filter(version_count__gt=0)
        .annotate(
            latest_id=Subquery(latest.values("pk")[:1]),
            latest_number=Subquery(latest.values("number")[:1]),
            item_count=Subquery(latest.values("item_count")[:1]),
            upload_type=Subquery(latest.values("upload_type")[:1]),
            latest_sections=Subquery(latest.values("sections")[:1]),
            latest_models=Subquery(latest.values("response_models")[:1]),
            changed_at=Subquery(latest.values("ready_at")[:1]),
        )
        .order_by("name")
    )


def versions_of(dataset: Dataset) -> QuerySet[DatasetVersion]:
    """Visible versions, latest first, with who made them."""
    visible = dataset.versions.filter(ready_at__isnull=False)
    return visible.select_related("created_by").order_by("-number")


@dataclass(frozen=True)
class Page(Generic[Row, Cursor]):
    """Some rows in order; `newer` and `older` are the neighbouring pages' cursors, or None."""

    rows: list[Row]
    newer: Cursor | None
    older: Cursor | None


def items_of(version: DatasetVersion, wanted: ItemFilter) -> QuerySet[Item]:
    return wanted.apply(Item.objects.filter(version=version)).order_by("position")


def tags_in(version: DatasetVersion) -> list[str]:
    """The tags of a version's items, by name; one query over what is tagged."""
    rows = Item.objects.filter(version=version).exclude(tags="").order_by().values_list("tags", flat=True)
    return sorted({tag for tags in rows.distinct()[:TAGS_READ] for tag in tags.split("|") if tag})


def metadata_names(version: DatasetVersion) -> list[str]:
    """The names in the metadata of the first items; one query."""
    rows = Item.objects.filter(version=version).order_by("position").values_list("metadata", flat=True)
    return sorted({str(name) for metadata in rows[:METADATA_READ] for name in metadata})


def pair_in(version: DatasetVersion) -> list[str]:
    """The models of responses A and B of a version whose first item is a pair, else nothing; one query."""
    if len(version.response_models) < 2:
        return []
    first = Item.objects.filter(version=version).only("metadata", "responses").order_by("position").first()
    return [model for _, model, _ in first.pair] if first else []


def draft_of(dataset: Dataset) -> Draft | None:
    """With its base and the hidden version that holds its items."""
    return Draft.objects.filter(dataset=dataset).select_related("base", "version", "created_by").first()


def keyset_page(
    rows: QuerySet[M], key: str, *, after: C | None = None, before: C | None = None, size: int = PAGE_ROWS
) -> Page[M, C]:
    """A page of rows ordered by a unique `key`: no page costs more than the first. One query."""
    if before is not None:
        found = list(rows.filter(**{f"{key}__lt": before}).order_by(f"-{key}")[: size + 1])
        page, more_before, more_after = found[:size][::-1], len(found) > size, True
    else:
        found = list(
            (rows if after is None else rows.filter(**{f"{key}__gt": after})).order_by(key)[: size + 1]
        )
        page, more_before, more_after = found[:size], after is not None, len(found) > size
    return Page(
        rows=page,
        newer=getattr(page[0], key) if page and more_before else None,
        older=getattr(page[-1], key) if page and more_after else None,
    )


def listed(items: QuerySet[Item]) -> QuerySet[Item]:
    """Without what a row of a list does not show; `start` is the beginning of the prompt. Two queries: the
    second brings each item's first image.
    """
    first = ItemAsset.objects.filter(position=1).select_related("asset")
    shown = items.annotate(start=Left("prompt", 300)).prefetch_related(Prefetch("item_assets", first))
    return shown.only("position", "version_id", "external_id", "section", "references", "tags", "key")


def all_items(version: DatasetVersion) -> Iterator[Item]:
    """Every item with its images, by keyset, so that neither memory nor one long query holds them all."""
    last = 0
    while True:
        chunk = list(
            Item.objects.filter(version=version, position__gt=last)
            .order_by("position")
            .prefetch_related("item_assets__asset")[:EXPORT_ROWS]
        )
        yield from chunk
        if len(chunk) < EXPORT_ROWS:
            return
        last = chunk[-1].position


def counted(items: QuerySet[Item]) -> tuple[int, bool]:
    """How many, and whether that is exact: counting stops at COUNTED."""
    count = items.order_by()[: COUNTED + 1].count()
    return min(count, COUNTED), count <= COUNTED


def item_at(version: DatasetVersion, position: int) -> Item | None:
    """One item with its images."""
    return (
        Item.objects.filter(version=version, position=position).prefetch_related("item_assets__asset").first()
    )


def neighbours(items: QuerySet[Item], position: int) -> tuple[int | None, int | None]:
    """Positions before and after, within the same filter."""
    previous = (
        items.filter(position__lt=position).order_by("-position").values_list("position", flat=True).first()
    )
    following = items.filter(position__gt=position).values_list("position", flat=True).first()
    return previous, following
