"""What is read of datasets, always within one workspace; hidden versions are never seen."""

from dataclasses import dataclass

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from datasets.models import Dataset, DatasetVersion, Item
from workspaces.models import Workspace

PAGE_ITEMS = 50
COUNTED = 1000


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


@dataclass(frozen=True)
class ItemPage:
    """Some items in order of position; `before` and `after` are positions to page from, or None at an end."""

    items: list[Item]
    before: int | None
    after: int | None


def items_of(version: DatasetVersion, *, q: str = "", section: str | None = None) -> QuerySet[Item]:
    """Items whose prompt or id holds `q`, of one section if given."""
    items = Item.objects.filter(version=version).order_by("position")
    if section is not None:
        items = items.filter(section=section)
    return items.filter(Q(prompt__icontains=q) | Q(external_id__icontains=q)) if q else items


def item_page(
    items: QuerySet[Item], *, after: int | None = None, before: int | None = None, size: int = PAGE_ITEMS
) -> ItemPage:
    """A page by keyset: the position is the key, so no page costs more than the first. One query."""
    if before is not None:
        found = list(items.filter(position__lt=before).order_by("-position")[: size + 1])
        page = found[:size][::-1]
        more_before, more_after = len(found) > size, True
    else:
        found = list((items.filter(position__gt=after) if after else items)[: size + 1])
        page, more_before, more_after = found[:size], bool(after), len(found) > size
    return ItemPage(
        items=page,
        before=page[0].position if page and more_before else None,
        after=page[-1].position if page and more_after else None,
    )


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
