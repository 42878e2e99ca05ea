"""What people command on drafts and subsets."""

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from datasets import editing, publishing
from datasets.drafts import MAX_SECTION
from datasets.editing import STUCK_AFTER, DraftBusy, draft_change, draft_discard
from datasets.filters import ItemFilter
from datasets.models import Dataset, DatasetVersion, Draft, DraftState, Item, Subset
from datasets.services import INLINE_ITEMS
from datasets.tasks import draft_fill_later, draft_publish_later
from workspaces import audit
from workspaces.access import Access

__all__ = [
    "BULK",
    "DraftBusy",
    "draft_bulk",
    "draft_discard",
    "draft_edit",
    "draft_publish",
    "draft_restore",
    "draft_start",
    "subset_create",
    "subset_delete",
]
BULK = {"section": "Set the section", "tag": "Add a tag", "untag": "Take a tag away", "drop": "Drop"}
MAX_SEED = 2**31 - 1


def draft_start(access: Access, version: DatasetVersion, *, at_once: bool = False) -> Draft:
    """The dataset's draft, made from this version unless there is one.

    A worker copies large versions, unless the caller wants to wait: some seconds for 100,000 items.
    """
    draft = editing.draft_begin(access, version)
    late = draft.changed_at < timezone.now() - STUCK_AFTER
    if draft.state == DraftState.COPYING and (late or not draft.version.items.exists()):
        if draft.base.item_count > INLINE_ITEMS and not at_once:
            draft_fill_later.delay_on_commit(draft.pk)
        else:
            editing.draft_fill(draft)
            draft.refresh_from_db()
    return draft


def draft_edit(access: Access, draft: Draft, position: int, values: dict[str, object]) -> None:
    """Gives one item new values by field. Raises ValidationError, DraftBusy."""
    cleaned = editing.clean_values(values)
    draft_change(access, draft, lambda items: editing.item_edit(items, position, cleaned))


def draft_bulk(
    access: Access,
    draft: Draft,
    action: str,
    value: str = "",
    *,
    wanted: ItemFilter | None = None,
    positions: list[int] | None = None,
) -> int:
    """One change to all items that fit, or to those at some positions; returns how many changed.

    Raises ValidationError for an unknown action or a bad value, DraftBusy.
    """
    try:
        value = editing.clean_tag(value) if action in ("tag", "untag") else value.strip()
    except ValueError as error:
        raise ValidationError({"value": str(error)}) from error
    if action not in BULK:
        raise ValidationError({"action": f"One of {', '.join(BULK)}."})
    if action in ("tag", "untag") and not value:
        raise ValidationError({"value": "Say which tag."})
    if action == "section" and (len(value) > MAX_SECTION or "\0" in value):
        raise ValidationError({"value": f"A section has at most {MAX_SECTION} characters."})

    def change(items: QuerySet[Item]) -> int:
        if positions is not None:
            items = items.filter(position__in=positions)
        if wanted is not None:
            items = wanted.apply(items)
        chosen = Item.objects.filter(pk__in=items.order_by().values("pk"))
        changes = {
            "section": lambda: editing.items_section(chosen, value),
            "tag": lambda: editing.items_tag(chosen, value),
            "untag": lambda: editing.items_untag(chosen, value),
            "drop": lambda: editing.items_drop(chosen),
        }
        return changes[action]()

    return draft_change(access, draft, change)


def draft_restore(access: Access, draft: Draft, keys: list[str]) -> int:
    """Undoes what was changed or dropped of some items. Raises DraftBusy."""
    return draft_change(access, draft, lambda items: editing.items_restore(draft, keys))


def draft_publish(access: Access, draft: Draft, note: str = "") -> DatasetVersion | None:
    """The next version; None while a worker makes it, or where the draft says why not. Raises Refused."""
    publishing.publish_begin(access, draft, note)
    if draft.base.item_count > INLINE_ITEMS:
        draft_publish_later.delay_on_commit(draft.pk)
        return None
    return publishing.publish_finish(draft)


# Subsets


def subset_create(
    access: Access,
    dataset: Dataset,
    *,
    name: str,
    wanted: ItemFilter,
    size: int | None = None,
    seed: int | None = None,
) -> Subset:
    """Raises ValidationError by field."""
    name = " ".join(name.replace("\0", "").split())
    problems = {}
    if not name or len(name) > 120:
        problems["name"] = "Give it a name of at most 120 characters."
    if size is not None and not 1 <= size <= MAX_SEED:
        problems["size"] = "At least 1."
    if seed is not None and (size is None or not 0 <= seed <= MAX_SEED):
        problems["seed"] = "A sample needs a number of items." if size is None else f"From 0 to {MAX_SEED:,}."
    if size is None and not wanted.to_json() and not problems:
        problems["size"] = "Filter the items or say how many; this is the whole dataset."
    if problems:
        raise ValidationError(problems)
    try:
        with transaction.atomic():
            audit.record(access, "subset.create", f"{dataset.name}: {name}", size=size, seed=seed)
            return Subset.objects.create(
                dataset=dataset, name=name, filter=wanted.to_json(), size=size, seed=seed,
                created_by=access.actor,
            )  # fmt: skip
    except IntegrityError as error:
        raise ValidationError({"name": "Another subset of this dataset has that name."}) from error


def subset_delete(access: Access, subset: Subset) -> None:
    """Runs keep what they were asked."""
    with transaction.atomic():
        audit.record(access, "subset.delete", f"{subset.dataset.name}: {subset.name}")
        subset.delete()
