"""Making a version from a file: one pass checks everything, a second one writes it in short transactions.

The version stays invisible (`ready_at` empty) until one conditional update finishes it; whatever
goes wrong before, also an interrupt, removes all that was written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from datasets.assets import image_store, unused_remove
from datasets.checking import CheckReport, Progress, check_file, good_drafts
from datasets.drafts import ContentHash, ItemDraft
from datasets.identity import key_of, keys_tell_apart
from datasets.importers import rows_of
from datasets.mapping import Mapping
from datasets.models import Dataset, DatasetVersion, Item, ItemAsset, UploadType
from datasets.paraphrases import paraphrases_carry
from datasets.problems import ImportProblems, RowProblem
from datasets.removal import version_remove
from workspaces import audit
from workspaces.access import Access

BATCH_ITEMS = 500
BATCH_BYTES = 4 << 20


@dataclass(frozen=True)
class ImportResult:
    """The version, and whether it is new; it is not when the same content was there already."""

    version: DatasetVersion
    created: bool


def clean_name(name: str) -> str:
    """A dataset's name in one line. Raises ImportProblems when there is nothing left, or too much."""
    cleaned = " ".join(name.replace("\0", "").split())
    if not cleaned or len(cleaned) > 120:
        reason = "is longer than 120 characters" if cleaned else "is empty"
        raise ImportProblems([RowProblem(0, "", f"the dataset's name {reason}")], 1)
    return cleaned


def version_import(
    access: Access,
    *,
    path: Path,
    source_name: str,
    dataset_name: str,
    mapping: Mapping,
    note: str = "",
    on_progress: Progress | None = None,
    leave_out: bool = False,
    origin: dict[str, Any] | None = None,
    problems_to: Path | None = None,
) -> ImportResult:
    """Imports a file as the next version of a dataset, which is created if need be.

    With `leave_out`, rows that have problems are not imported; else one of them stops the import.
    `on_progress(done, total)` counts bytes over both passes and may raise to cancel.
    Raises ImportProblems, after which nothing is kept.
    """
    dataset_name = clean_name(dataset_name)
    size = path.stat().st_size
    first, second = _halves(on_progress, size)
    report = check_file(
        path, source_name, mapping, on_progress=first, leave_out=leave_out, problems_to=problems_to
    )
    report.problems.raise_if_any()
    same = _ready(access, dataset_name).filter(content_hash=report.content_hash).first()
    if same:
        return ImportResult(same, created=False)
    version = _begin(access, dataset_name, PurePath(source_name).name, mapping, note, origin or {})
    asset_ids: set[int] = set()
    try:
        content_hash = _write_items(
            access, version, path, source_name, mapping, second, asset_ids, leave_out=leave_out
        )
        if content_hash != report.content_hash:
            raise ImportProblems([RowProblem(0, "", "the file changed while it was being imported")], 1)
        return _finish(access, version, report, mapping)
    finally:
        if version.ready_at is None:
            version_remove(version)
            unused_remove(asset_ids)


def _halves(on_progress: Progress | None, size: int) -> tuple[Progress | None, Progress | None]:
    """Progress of the two passes as one."""
    if on_progress is None:
        return None, None
    report = on_progress
    return (lambda done, _: report(done, 2 * size)), (lambda done, _: report(size + done, 2 * size))


def _ready(access: Access, dataset_name: str) -> QuerySet[DatasetVersion]:
    return DatasetVersion.objects.select_related("dataset").filter(
        dataset__workspace=access.workspace, dataset__name=dataset_name, ready_at__isnull=False
    )


def _begin(
    access: Access, dataset_name: str, source_name: str, mapping: Mapping, note: str, origin: dict[str, Any]
) -> DatasetVersion:
    """A hidden version with the next number. The dataset's row is locked while it is found."""
    with transaction.atomic():
        dataset, _ = Dataset.objects.select_for_update().get_or_create(
            workspace=access.workspace, name=dataset_name, defaults={"created_by": access.actor}
        )
        latest = dataset.versions.aggregate(latest=Max("number"))["latest"] or 0
        return DatasetVersion.objects.create(
            dataset=dataset, number=latest + 1, source_name=source_name[:255], mapping=mapping.to_json(),
            note=note.strip()[:300], created_by=access.actor, origin=origin,
        )  # fmt: skip


def _write_items(
    access: Access,
    version: DatasetVersion,
    path: Path,
    source_name: str,
    mapping: Mapping,
    on_progress: Progress | None,
    asset_ids: set[int],
    *,
    leave_out: bool,
) -> str:
    """Writes every item and returns the content hash of what was written."""
    hashed, position, size = ContentHash(), 0, path.stat().st_size
    with path.open("rb") as file:
        rows = rows_of(file, source_name)
        for batch in _batches(good_drafts(rows, mapping, leave_out=leave_out)):
            for draft in batch:
                hashed.add(draft.digest)
            images = [[image_store(access.workspace, image).pk for image in draft.images] for draft in batch]
            asset_ids.update(pk for pks in images for pk in pks)
            _write_batch(version, batch, images, position)
            position += len(batch)
            if on_progress:
                on_progress(rows.done(size), size)
    return hashed.hex


def _batches(drafts: Iterator[ItemDraft]) -> Iterator[list[ItemDraft]]:
    batch: list[ItemDraft] = []
    weight = 0
    for draft in drafts:
        batch.append(draft)
        weight += draft.weight
        if len(batch) >= BATCH_ITEMS or weight >= BATCH_BYTES:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def _write_batch(
    version: DatasetVersion, batch: list[ItemDraft], images: list[list[int]], start: int
) -> None:
    """One short transaction."""
    items = [
        Item(
            version=version, position=start + index, external_id=draft.external_id, section=draft.section,
            prompt=draft.prompt, messages=draft.messages, choices=draft.choices, references=draft.references,
            responses=draft.responses, metadata=draft.metadata, tags=draft.tags, digest=draft.digest,
            key=key_of(draft.external_id, draft.prompt),
        )
        for index, draft in enumerate(batch, start=1)
    ]  # fmt: skip
    with transaction.atomic():
        stored = Item.objects.bulk_create(items)
        ItemAsset.objects.bulk_create(
            ItemAsset(item=item, asset_id=asset_id, position=place)
            for item, asset_ids in zip(stored, images, strict=True)
            for place, asset_id in enumerate(asset_ids, start=1)
        )


def _finish(access: Access, version: DatasetVersion, report: CheckReport, mapping: Mapping) -> ImportResult:
    """Makes the version visible, unless another import of the same content was quicker."""
    name = version.dataset.name
    keys_tell_apart(version)
    with transaction.atomic():
        Dataset.objects.select_for_update().get(pk=version.dataset_id)
        same = _ready(access, name).filter(content_hash=report.content_hash).first()
        if same:
            return ImportResult(same, created=False)
        paraphrases_carry(version)
        now = timezone.now()
        finished = DatasetVersion.objects.filter(pk=version.pk, ready_at=None).update(
            ready_at=now,
            content_hash=report.content_hash,
            item_count=report.items,
            left_out=report.left_out,
            sections=report.section_list,
            response_models=mapping.models,
            upload_type=UploadType.QUERY_RESPONSE if mapping.models else UploadType.QUERY,
        )
        if not finished:
            raise ImportProblems(
                [RowProblem(0, "", "the dataset was removed while it was being imported")], 1
            )
        audit.record(
            access,
            "dataset.import",
            f"{name} v{version.number}",
            items=report.items,
            source_name=version.source_name,
            content_hash=report.content_hash,
        )
    version.refresh_from_db()
    return ImportResult(version, created=True)
