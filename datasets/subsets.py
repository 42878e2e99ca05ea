"""Which items a subset has in a version: those that its filter finds, then a sample or the first."""

from typing import Any

from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import MD5, Concat

from datasets.filters import ItemFilter
from datasets.models import DatasetVersion, Item, Subset
from workspaces.models import Workspace


def subsets_of(workspace: Workspace) -> QuerySet[Subset]:
    """Of all datasets of the workspace, by dataset and name."""
    return Subset.objects.filter(dataset__workspace=workspace).order_by("dataset__name", "name")


def subset_items(subset: Subset, version: DatasetVersion) -> QuerySet[Item]:
    """The subset's items in a version, in no order.

    A sample is drawn by the items' keys, so an item that another version also has is drawn there too,
    as far as the size allows.
    """
    items = ItemFilter.of(subset.filter).apply(Item.objects.filter(version=version))
    if subset.size is None:
        return items.order_by()
    if subset.seed is None:
        chosen = items.order_by("position")
    else:
        lot = MD5(Concat(Value(f"{subset.seed}:", TextField()), "key", output_field=TextField()))
        chosen = items.alias(lot=lot).order_by("lot", "position")
    return Item.objects.filter(pk__in=chosen.values("pk")[: subset.size])


def subset_frozen(subset: Subset, items: int) -> dict[str, Any]:
    """What a run keeps of a subset, so that it says later what it was asked."""
    return {
        "id": subset.pk, "name": subset.name, "filter": subset.filter, "size": subset.size,
        "seed": subset.seed, "items": items,
    }  # fmt: skip
