"""What people command on uploads: send a file, choose the mapping, import, cancel."""

import secrets
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from datasets.importers import IMPORTERS, opened
from datasets.importing import clean_name
from datasets.mapping import BadMapping, Mapping
from datasets.models import DatasetVersion, SavedMapping, Upload, UploadState
from datasets.problems import ImportProblems, RowProblem
from datasets.selectors import ready_versions
from datasets.tasks import upload_import
from datasets.uploading import (
    expired_remove,
    files_remove,
    mapping_for,
    samples_of,
    store_chunks,
)
from workspaces.access import Access
from workspaces.models import User


class UploadRefused(ValueError):
    """The file cannot be taken; the message says why."""


def label_of(source_name: str) -> str:
    """A file's name as a label: without folders and control characters. It is never a path."""
    name = PurePath(source_name.replace("\\", "/")).name
    return "".join(character for character in name if character.isprintable())[:255] or "upload"


def upload_create(
    access: Access,
    *,
    source_name: str,
    chunks: Iterable[bytes],
    dataset_name: str = "",
    with_responses: bool = True,
    note: str = "",
    mapping: Mapping | None = None,
    leave_out: bool = False,
    origin: dict[str, Any] | None = None,
) -> Upload:
    """Keeps the file under a random name with a mapping, guessed unless given. Raises UploadRefused."""
    expired_remove()
    name = label_of(source_name)
    upload = Upload(
        workspace=access.workspace,
        created_by=_person(access),
        token=secrets.token_urlsafe(32),
        source_name=name,
        dataset_name=(dataset_name.strip() or PurePath(name).stem.replace("_", " "))[:120],
        note=note.strip()[:300],
        leave_out=leave_out,
        origin=origin or {},
    )
    try:
        upload.size_bytes = _store(upload, chunks)
        upload.format = _format(upload)
        if mapping is None:
            mapping = first_mapping(access, upload, with_responses=with_responses)
        upload.mapping = mapping.to_json()
        upload.save(force_insert=True)
    except BaseException:
        upload.path.unlink(missing_ok=True)
        raise
    return upload


def upload_expect(
    access: Access, *, source_name: str, dataset_name: str, origin: dict[str, Any], mapping: Mapping | None
) -> Upload:
    """An upload whose file a worker is going to fetch."""
    expired_remove()
    clean_name(dataset_name)
    return Upload.objects.create(
        workspace=access.workspace,
        created_by=_person(access),
        token=secrets.token_urlsafe(32),
        source_name=label_of(source_name),
        size_bytes=0,
        dataset_name=dataset_name,
        origin=origin,
        mapping=mapping.to_json() if mapping else {},
        state=UploadState.FETCHING,
        alive_at=timezone.now(),
    )


def first_mapping(access: Access, upload: Upload, *, with_responses: bool) -> Mapping:
    """That of the dataset's last version, of a known format, or a guess."""
    records = samples_of(upload.path, upload.source_name)
    previous = previous_version(access, upload.dataset_name)
    return mapping_for(records, with_responses=with_responses, previous=previous)


def _person(access: Access) -> User:
    if access.actor is None:
        raise UploadRefused("only a person can keep an upload")
    return access.actor


def _store(upload: Upload, chunks: Iterable[bytes]) -> int:
    size = store_chunks(upload.path, chunks, limit=settings.UPLOAD_MAX_BYTES)
    if size > settings.UPLOAD_MAX_BYTES:
        raise UploadRefused(f"The file is larger than {settings.UPLOAD_MAX_BYTES >> 20} MB.")
    if not size:
        raise UploadRefused("The file is empty.")
    return size


def _format(upload: Upload) -> str:
    with upload.path.open("rb") as file:
        return opened(file, upload.source_name)[0]


def format_title(upload: Upload) -> str:
    return str(IMPORTERS[upload.format].title)


def previous_version(access: Access, dataset_name: str) -> DatasetVersion | None:
    """The latest visible version of the dataset of that name."""
    named = ready_versions(access.workspace).filter(dataset__name=" ".join(dataset_name.split()))
    return named.order_by("-number").first()


def upload_map(
    upload: Upload, *, mapping: Mapping, dataset_name: str, note: str, leave_out: bool = False
) -> None:
    """Remembers what was chosen, so that the page survives a reload."""
    upload.mapping, upload.dataset_name, upload.note = mapping.to_json(), dataset_name[:120], note[:300]
    upload.leave_out = leave_out
    upload.save(update_fields=["mapping", "dataset_name", "note", "leave_out"])


def upload_begin(upload: Upload) -> None:
    """Hands the file to a worker. Raises ImportProblems for a mapping or name that cannot be."""
    mapping = Mapping.from_json(upload.mapping)
    faults = mapping.problems()
    if faults:
        raise ImportProblems([RowProblem(0, "", fault) for fault in faults], len(faults))
    clean_name(upload.dataset_name)
    _queue(upload)


def _queue(upload: Upload) -> None:
    """Also takes over from a worker that fell silent: its attempt is no longer the row's."""
    with transaction.atomic():
        Upload.objects.filter(pk=upload.pk).update(
            state=UploadState.QUEUED,
            alive_at=timezone.now(),
            progress_done=0,
            progress_total=2 * upload.size_bytes,
            problems=[],
            problem_count=0,
        )
        upload_import.delay_on_commit(upload.pk)


def upload_reopen(upload: Upload) -> None:
    """Back to the mapping after the import refused the file."""
    Upload.objects.filter(pk=upload.pk, state=UploadState.REFUSED).update(state=UploadState.CHECKING)


def upload_cancel(upload: Upload) -> None:
    """Forgets the upload; a worker that is at it notices and removes what it wrote."""
    Upload.objects.filter(pk=upload.pk).delete()
    files_remove(upload)


def mapping_save(access: Access, *, name: str, mapping: Mapping) -> SavedMapping:
    """Keeps a mapping under a name, in place of an earlier one of that name. Raises BadMapping."""
    cleaned = " ".join(name.split())
    faults = mapping.problems() + ([] if 0 < len(cleaned) <= 120 else ["a name has 1 to 120 characters"])
    if faults:
        raise BadMapping(faults)
    saved, _ = SavedMapping.objects.update_or_create(
        workspace=access.workspace,
        name=cleaned,
        defaults={"mapping": mapping.to_json(), "created_by": access.actor},
    )
    return saved


def mapping_delete(access: Access, saved: SavedMapping) -> None:
    SavedMapping.objects.filter(workspace=access.workspace, pk=saved.pk).delete()
