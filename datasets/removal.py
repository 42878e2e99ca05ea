"""Removing versions piece by piece, in short transactions. A version is hidden before its items go."""

from datetime import timedelta

from django.db import transaction
from django.db.models import PROTECT, ProtectedError, Q
from django.utils import timezone

from datasets.assets import unused_remove
from datasets.models import Dataset, DatasetVersion, Item, ItemAsset

CHUNK = 2000
ABANDONED_AFTER = timedelta(days=1)


def users_of(version: DatasetVersion) -> list[str]:
    """Who protects the version, in words such as `2 runs`. One query per kind of user."""
    found = []
    for relation in version._meta.related_objects:
        if getattr(relation, "on_delete", None) is PROTECT:
            count = relation.related_model._default_manager.filter(**{relation.field.name: version}).count()
            names = relation.related_model._meta
            if count:
                found.append(f"{count:,} {names.verbose_name if count == 1 else names.verbose_name_plural}")
    return found


def version_remove(version: DatasetVersion) -> None:
    """Deletes a hidden version with its items and the images only they showed; and an emptied dataset."""
    asset_ids: set[int] = set()
    last = 0
    while True:
        bounds = list(
            Item.objects.filter(version=version, position__gt=last).values_list("position", flat=True)[:CHUNK]
        )
        if not bounds:
            break
        chunk = Item.objects.filter(version=version, position__gt=last, position__lte=bounds[-1])
        with transaction.atomic():
            asset_ids.update(ItemAsset.objects.filter(item__in=chunk).values_list("asset_id", flat=True))
            chunk.delete()
        last = bounds[-1]
    unused_remove(asset_ids)
    with transaction.atomic():
        DatasetVersion.objects.filter(pk=version.pk, ready_at=None).delete()
        Dataset.objects.filter(pk=version.dataset_id, versions=None).delete()


def abandoned_remove() -> int:
    """Removes what a killed import or deletion left behind: versions hidden for more than a day."""
    old = timezone.now() - ABANDONED_AFTER
    stale = DatasetVersion.objects.filter(ready_at=None, draft=None, created_at__lt=old)
    removed = 0
    for version in stale:
        try:
            version_remove(version)
        except ProtectedError:
            DatasetVersion.objects.filter(Q(pk=version.pk) & ~Q(content_hash="")).update(
                ready_at=timezone.now()
            )
        else:
            removed += 1
    return removed
