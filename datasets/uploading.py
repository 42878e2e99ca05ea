"""An uploaded file between the browser and its version: kept, sampled, checked, imported by a worker."""

import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.http import Http404
from django.utils import timezone

from datasets.checking import CheckReport, Progress, check_file
from datasets.importers import Record, opened, rows_of
from datasets.importing import ImportResult, version_import
from datasets.mapping import Leaf, Mapping, leaves_of, mapping_of, recognise, value_at
from datasets.models import DatasetVersion, Upload, UploadState
from datasets.problems import ImportProblems, RowProblem, spooled
from datasets.removal import abandoned_remove
from workspaces import access
from workspaces.access import Access
from workspaces.models import Role

SAMPLE_ROWS = 200
SAMPLE_BYTES = 8 << 20
KEPT = timedelta(days=1)
REPORT_EVERY_S = 0.5
SILENT_AFTER = timedelta(seconds=60)
log = logging.getLogger(__name__)


class ImportStopped(Exception):
    """The upload was canceled, or another worker took it over."""


def store_chunks(path: Path, chunks: Iterable[bytes], *, limit: int) -> int:
    """Writes an upload with owner-only permission; returns its size, which stops growing past `limit`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    size = 0
    with path.open("xb") as file:
        path.chmod(0o600)
        for chunk in chunks:
            size += len(chunk)
            if size > limit:
                break
            file.write(chunk)
    return size


def samples_of(path: Path, source_name: str) -> list[dict[str, Any]]:
    """The first readable records, for guessing."""
    with path.open("rb") as file:
        found, size = [], 0
        for row in islice(rows_of(file, source_name), SAMPLE_ROWS):
            if isinstance(row, Record):
                found.append(row.values)
                size += len(str(row.values))
            if size > SAMPLE_BYTES:
                break
    return found


def details_of(upload: Upload) -> list[str]:
    """What its reader found out about the file, such as the separator and the encoding."""
    with upload.path.open("rb") as file:
        return opened(file, upload.source_name)[1].details(file)


def recognised(upload: Upload) -> str:
    """The name of the format that the rows have, if the mapping is the one that fits it."""
    known = recognise(samples_of(upload.path, upload.source_name))
    mapping = Mapping.from_json(upload.mapping)
    return known.title if known and mapping in (known.mapping, known.mapping.without("response")) else ""


def leaves_in(upload: Upload) -> list[Leaf]:
    """The file's fields with their first values, and those parts of them that the mapping names."""
    records = samples_of(upload.path, upload.source_name)
    leaves = leaves_of(records)
    known = {leaf.path for leaf in leaves}
    inner = [one.path for one in Mapping.from_json(upload.mapping).fields if one.path not in known]
    return leaves + [Leaf(path, [value_at(record, path) for record in records]) for path in inner]


def mapping_for(
    records: list[dict[str, Any]], *, with_responses: bool, previous: DatasetVersion | None
) -> Mapping:
    """The mapping of the previous version if all its fields are here, else a guess."""
    paths = {leaf.path for leaf in leaves_of(records)}
    if previous is not None:
        known = Mapping.from_json(previous.mapping) if previous.mapping else Mapping()
        if known.fields and {one.path for one in known.fields} == paths:
            return known if with_responses else known.without("response")
    return mapping_of(records, with_responses=with_responses)


def check_upload(upload: Upload, mapping: Mapping, leaves: list[Leaf]) -> CheckReport:
    """The whole file while it holds little, else its beginning; a worker checks the rest when it imports."""
    return check_file(
        upload.path,
        upload.source_name,
        mapping,
        count_paths=[leaf.path for leaf in leaves],
        glance=True,
        problems_to=upload.problems_path if upload.state == UploadState.CHECKING else None,
    )


def is_silent(upload: Upload) -> bool:
    """Whether a worker should have been heard of by now."""
    busy = upload.state in (UploadState.FETCHING, UploadState.QUEUED, UploadState.IMPORTING)
    heard = upload.alive_at or upload.created_at
    return busy and timezone.now() - heard > SILENT_AFTER


def upload_run(upload_id: int) -> None:
    """A worker's part: imports a queued upload and notes what came of it. A second delivery does nothing."""
    claimed = Upload.objects.filter(pk=upload_id, state=UploadState.QUEUED).update(
        state=UploadState.IMPORTING, attempt=F("attempt") + 1, alive_at=timezone.now()
    )
    upload = Upload.objects.select_related("workspace", "created_by", "version").filter(pk=upload_id).first()
    if not claimed or upload is None:
        return
    try:
        _import(upload)
    except ImportStopped:
        return
    except ImportProblems as error:
        _refuse(upload, error.problems, error.total)
    except (PermissionDenied, Http404):
        _refuse(upload, [RowProblem(0, "", "you may no longer import into this workspace")], 1)
    except Exception:
        log.exception("upload %s failed", upload.pk)
        reason = "the import stopped because of a fault in the portal; nothing was stored, try again"
        _refuse(upload, [RowProblem(0, "", reason)], 1)


def upload_arrived(upload: Upload, *, queue: bool) -> None:
    """The fetched file lies at the upload's path: it waits for its import, or for a person's mapping."""
    with upload.path.open("rb") as file:
        upload.format = opened(file, upload.source_name)[0]
    upload.size_bytes = upload.path.stat().st_size
    if not upload.mapping:
        records = samples_of(upload.path, upload.source_name)
        upload.mapping = mapping_of(records).to_json()
    Upload.objects.filter(pk=upload.pk, state=UploadState.FETCHING).update(
        format=upload.format,
        size_bytes=upload.size_bytes,
        source_name=upload.source_name,
        mapping=upload.mapping,
        origin=upload.origin,
        state=UploadState.QUEUED if queue else UploadState.CHECKING,
        progress_done=0,
        progress_total=2 * upload.size_bytes,
        alive_at=timezone.now(),
    )


def _import(upload: Upload) -> None:
    held = access.access_for(upload.created_by, upload.workspace.slug, Role.EDITOR)
    result = version_from(held, upload, on_progress=Reporter(upload))
    if _mine(upload).update(state=UploadState.DONE, version=result.version):
        upload.path.unlink(missing_ok=True)  # else another worker reads it now


def version_from(held: Access, upload: Upload, on_progress: Progress | None = None) -> ImportResult:
    """The version that an upload becomes. Raises ImportProblems."""
    return version_import(
        held,
        path=upload.path,
        source_name=upload.source_name,
        dataset_name=upload.dataset_name,
        mapping=Mapping.from_json(upload.mapping),
        note=upload.note,
        on_progress=on_progress,
        leave_out=upload.leave_out,
        origin=upload.origin,
        problems_to=upload.problems_path,
    )


def _mine(upload: Upload) -> Any:
    """The row while this attempt still owns it."""
    return Upload.objects.filter(pk=upload.pk, state=UploadState.IMPORTING, attempt=upload.attempt)


def _refuse(upload: Upload, problems: list[RowProblem], total: int) -> None:
    _mine(upload).update(
        state=UploadState.REFUSED, problems=[one.to_json() for one in problems], problem_count=total
    )


class Reporter:
    """Notes progress on the row twice a second; raises ImportStopped once the row is no longer ours."""

    def __init__(self, upload: Upload):
        self.upload, self.next_at = upload, 0.0

    def __call__(self, done: int, total: int) -> None:
        if monotonic() < self.next_at:
            return
        self.next_at = monotonic() + REPORT_EVERY_S
        kept = _mine(self.upload).update(progress_done=done, progress_total=total, alive_at=timezone.now())
        if not kept:
            raise ImportStopped


def files_remove(upload: Upload) -> None:
    upload.path.unlink(missing_ok=True)
    upload.problems_path.unlink(missing_ok=True)


def problems_of(upload: Upload) -> Iterator[RowProblem]:
    """Every problem that was found last: by the import, or by checking the file now."""
    if upload.state == UploadState.CHECKING and upload.path.exists():
        check_upload(upload, Mapping.from_json(upload.mapping), [])
    if upload.problems_path.exists():
        yield from spooled(upload.problems_path)
    else:
        yield from (RowProblem(**one) for one in upload.problems)


def expired_remove() -> None:
    """Removes uploads older than a day, files without a row, and what killed imports left behind."""
    before = timezone.now() - KEPT
    for upload in Upload.objects.filter(created_at__lt=before):
        files_remove(upload)
        upload.delete()
    folder = Path(settings.MEDIA_ROOT) / "uploads"
    for path in folder.rglob("*"):
        stale = path.is_file() and path.stat().st_mtime < before.timestamp()
        if stale and not Upload.objects.filter(token=path.name).exists():
            path.unlink(missing_ok=True)
    abandoned_remove()
