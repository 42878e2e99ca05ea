"""From a draft to the next frozen version: places, digests, the hash, then one conditional update."""

from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Max, Min, Q, QuerySet
from django.utils import timezone

from datasets.drafts import ContentHash, digest_of
from datasets.editing import STUCK_AFTER, DraftBusy, places_close
from datasets.models import Dataset, DatasetVersion, Draft, DraftState, Item, ItemAsset
from datasets.paraphrases import paraphrases_carry
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused

ROWS = 1000


def publish_begin(access: Access, draft: Draft, note: str) -> None:
    """Closes the draft to changes. Raises DraftBusy, or Refused when nothing is left of it."""
    if not Item.objects.filter(version=draft.version_id).exists():
        raise Refused(
            "Every item is dropped; a version needs at least one. Restore some, or discard the draft."
        )
    now = timezone.now()
    stuck = Q(state=DraftState.PUBLISHING, changed_at__lt=now - STUCK_AFTER)
    with transaction.atomic():
        begun = Draft.objects.filter(Q(state=DraftState.OPEN) | stuck, pk=draft.pk)
        if not begun.update(state=DraftState.PUBLISHING, changed_at=now, problem=""):
            raise DraftBusy("The draft is being copied or published; try again in a moment.")
        DatasetVersion.objects.filter(pk=draft.version_id).update(
            note=" ".join(note.split())[:300], created_by=access.actor
        )
        audit.record(access, "draft.publish", draft.dataset.name, base=draft.base_id, note=note[:300])


def publish_finish(draft: Draft) -> DatasetVersion | None:
    """Makes the version; None, with the reason on the draft, where it would repeat one that is there."""
    version = draft.version
    digests_fill(version)
    hashed = ContentHash()
    for digest in _digests(version):
        hashed.add(digest)
    found = version_figures(version)
    same = draft.dataset.versions.filter(ready_at__isnull=False, content_hash=hashed.hex).first()
    if same:
        reason = f"Nothing differs from version {same.number}; change something, or discard the draft."
        _reopen(draft, reason)
        return None
    places_close(version)
    with transaction.atomic():
        Dataset.objects.select_for_update().get(pk=draft.dataset_id)
        others = draft.dataset.versions.exclude(pk=version.pk).aggregate(latest=Max("number"))["latest"]
        Draft.objects.filter(pk=draft.pk).delete()
        paraphrases_carry(version)
        DatasetVersion.objects.filter(pk=version.pk, ready_at=None).update(
            ready_at=timezone.now(), content_hash=hashed.hex, number=max(version.number, others + 1), **found
        )
    version.refresh_from_db()
    return version


def _reopen(draft: Draft, reason: str) -> None:
    Draft.objects.filter(pk=draft.pk).update(
        state=DraftState.OPEN, problem=reason[:300], changed_at=timezone.now()
    )


def _digests(version: DatasetVersion) -> Iterator[str]:
    rows = Item.objects.filter(version=version).order_by("position").values_list("digest", flat=True)
    return rows.iterator(chunk_size=5000)


def version_figures(version: DatasetVersion) -> dict[str, Any]:
    """The kept figures of a version, counted from its items: how many, and their sections in order."""
    sections = section_counts(Item.objects.filter(version=version))
    count = sum(section["items"] for section in sections)
    return {"item_count": count, "sections": [] if [one["name"] for one in sections] == [""] else sections}


def section_counts(items: QuerySet[Item]) -> list[dict[str, Any]]:
    """[{"name", "items"}] in order of first appearance; one query."""
    rows = items.order_by().values("section").annotate(items=Count("pk"), first=Min("position"))
    return [{"name": row["section"], "items": row["items"]} for row in rows.order_by("first")]


def digests_fill(version: DatasetVersion) -> None:
    """Computes the digests that changes of many items left empty, in pieces."""
    owing = Item.objects.filter(version=version, digest="").order_by("pk")
    last = 0
    while rows := list(owing.filter(pk__gt=last)[:ROWS]):
        images = images_of(rows)
        found = [(digest_of(row, images.get(row.pk, [])), row.pk) for row in rows]
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany("UPDATE datasets_item SET digest = %s WHERE id = %s", found)
        last = rows[-1].pk


def images_of(items: list[Item]) -> dict[int, list[str]]:
    """SHA-256 of the images by item, in order; one query."""
    found: dict[int, list[str]] = {}
    links = ItemAsset.objects.filter(item__in=items).order_by("item_id", "position")
    for item_id, sha256 in links.values_list("item_id", "asset__sha256"):
        found.setdefault(item_id, []).append(sha256)
    return found
