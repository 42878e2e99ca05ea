"""Approved paraphrases follow their items into the dataset's next version, where those did not change."""

from collections.abc import Iterator, Sequence

from datasets.models import DatasetVersion, Item, Paraphrase

CHUNK = 500
COPIED = ("number", "text", "state", "model_name", "run_id", "seq", "edited", "decided_by_id", "decided_at")


def paraphrases_carry(version: DatasetVersion) -> int:
    """Gives items of a version what was approved for the same item of the same content in an earlier one.

    Numbers stay, also those of withdrawn ones, so that a variant asks the same in both versions. Where
    several versions have some for an item, the newest counts. Returns how many; safe to repeat.
    """
    earlier = DatasetVersion.objects.filter(dataset=version.dataset_id, ready_at__isnull=False)
    rows = Paraphrase.objects.filter(item__version__in=earlier.exclude(pk=version.pk), number__isnull=False)
    rows = rows.select_related("item").only(*COPIED, "item__key", "item__digest", "item__version")
    found = list(rows.order_by("-item__version__number", "pk"))
    newest: dict[tuple[str, str], int] = {}
    for row in found:
        newest.setdefault((row.item.key, row.item.digest), row.item.version_id)
    kept = [row for row in found if newest[row.item.key, row.item.digest] == row.item.version_id]
    carried = 0
    for start in range(0, len(kept), CHUNK):
        copies = list(_copies(version, kept[start : start + CHUNK]))
        Paraphrase.objects.bulk_create(copies, ignore_conflicts=True)
        carried += len(copies)
    return carried


def _copies(version: DatasetVersion, rows: Sequence[Paraphrase]) -> Iterator[Paraphrase]:
    same = Item.objects.filter(version=version, key__in={row.item.key for row in rows}).exclude(digest="")
    items = {(key, digest): pk for pk, key, digest in same.order_by().values_list("pk", "key", "digest")}
    for row in rows:
        if item := items.get((row.item.key, row.item.digest)):
            yield Paraphrase(item_id=item, **{name: getattr(row, name) for name in COPIED})
