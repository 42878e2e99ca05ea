"""Fetches files from the hub into an upload, has them imported, and prepares the benchmark."""

import logging
import zipfile
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet
from django.http import Http404
from django.utils import timezone
from django.utils.module_loading import import_string

from catalogue.entries import ENTRIES, Entry
from catalogue.hub import Place, bearer_at, commit_of, parquet_urls, token_for
from datasets.models import Upload, UploadState
from datasets.uploading import REPORT_EVERY_S, SILENT_AFTER, ImportStopped, upload_arrived, upload_run
from registry.fetching import FetchFailed, fetch_file
from workspaces import access
from workspaces.models import Role
from workspaces.services import Refused

log = logging.getLogger(__name__)
# By name: statistics come with it, a sixth of the memory of a worker that never prepares one.
PREPARE = "catalogue.preparing.benchmark_prepare"
MOST_ATTEMPTS = 3  # that are begun by themselves; people may begin more
LOST = "The worker that fetched it was lost three times; try again."
FAULT = "The data could not be fetched because of a fault in the portal; try again."
OnPart = Callable[[int, int, int], None]  # the file's number, how many there are, its bytes so far


def fetch_run(upload_id: int) -> None:
    """Fetches what an upload's origin names. A known benchmark is imported at once, other data wait.

    Another worker may take over from one that fell silent, which then notices and stops.
    """
    silent = Q(attempt=0) | Q(alive_at=None) | Q(alive_at__lt=timezone.now() - SILENT_AFTER)
    claimed = Upload.objects.filter(silent, pk=upload_id, state=UploadState.FETCHING).update(
        attempt=F("attempt") + 1, alive_at=timezone.now()
    )
    upload = Upload.objects.select_related("workspace", "created_by").filter(pk=upload_id).first()
    if not claimed or upload is None:
        return
    try:
        _fetch(upload)
    except ImportStopped:
        return
    except FetchFailed as error:
        _refuse(upload, str(error))
        return
    except Exception:
        log.exception("upload %s could not be fetched", upload.pk)
        _refuse(upload, FAULT)
        return
    if upload.origin.get("entry"):
        entry_run(upload_id)


def entry_run(upload_id: int) -> None:
    """Imports the data of a known benchmark, then prepares it."""
    upload_run(upload_id)
    upload = Upload.objects.select_related("workspace", "created_by", "version").filter(pk=upload_id).first()
    entry: Entry | None = ENTRIES.get(upload.origin.get("entry", "")) if upload else None
    if not (upload and upload.state == UploadState.DONE and upload.version and entry):
        return
    try:
        held = access.access_for(upload.created_by, upload.workspace.slug, Role.EDITOR)
        import_string(PREPARE)(held, entry, upload.version, upload.origin.get("judge_model"))
    except (Refused, PermissionDenied, Http404) as error:
        log.info("no benchmark for %s: %s", entry.key, error)


def _fetch(upload: Upload) -> None:
    place = place_in(upload.origin)
    upload.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    own = upload.path.with_name(f"{upload.path.name}.fetched{upload.attempt:02}")
    try:
        upload.source_name, commit = place_files(place, token_for(upload.workspace), own, Arrival(upload))
        if not _mine(upload).exists():  # another worker's file may lie there, or be read already
            raise ImportStopped
        own.replace(upload.path)
    finally:
        own.unlink(missing_ok=True)
    upload.origin = upload.origin | {"commit": commit, "fetched_at": timezone.now().isoformat()}
    upload_arrived(upload, queue=bool(upload.origin.get("entry")))


def place_in(origin: dict[str, Any]) -> Place:
    return Place(**{name: origin[name] for name in ("repo", "config", "split", "revision")})


def place_files(place: Place, token: str, path: Path, on_part: OnPart) -> tuple[str, str]:
    """Fetches a place's files into one at `path`; returns its name and the commit. Raises FetchFailed."""
    urls = parquet_urls(place, token)
    parts: list[Path] = []
    try:
        size = 0
        for number, url in enumerate(urls):
            part = path.with_name(f"{path.name}.part{number:04}")
            parts.append(part)
            size += fetch_file(
                url, part, limit=settings.UPLOAD_MAX_BYTES - size, bearer=bearer_at(url, token),
                on_bytes=partial(on_part, number, len(urls)),
            )  # fmt: skip
        _together(parts, path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    ending = "zip" if len(urls) > 1 else "parquet"
    return f"{place.repo.rpartition('/')[2]}-{place.split}.{ending}", commit_of(place, token)


def _together(parts: Sequence[Path], path: Path) -> None:
    """One file as it is, several as a zip of them."""
    if len(parts) == 1:
        parts[0].replace(path)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, part in enumerate(parts):
            archive.write(part, f"{number:04}.parquet")
    path.chmod(0o600)


def _mine(upload: Upload) -> QuerySet[Upload]:
    """The row while this attempt still owns it."""
    return Upload.objects.filter(pk=upload.pk, state=UploadState.FETCHING, attempt=upload.attempt)


def _refuse(upload: Upload, reason: str) -> None:
    problems: list[dict[str, Any]] = [{"line": 0, "field": "", "reason": reason}]
    _mine(upload).update(state=UploadState.REFUSED, problems=problems, problem_count=1)


class Arrival:
    """Notes on the row how much of the files has arrived; raises ImportStopped once it is not ours."""

    def __init__(self, upload: Upload):
        self.upload, self.next_at = upload, 0.0

    def __call__(self, number: int, count: int, size: int) -> None:
        if monotonic() < self.next_at:
            return
        self.next_at = monotonic() + REPORT_EVERY_S
        if not _mine(self.upload).update(
            progress_done=number, progress_total=count, size_bytes=size, alive_at=timezone.now()
        ):
            raise ImportStopped


def lost_uploads(state: UploadState) -> list[Upload]:
    """Those whose worker fell silent, and that are taken up again without being asked. One that has
    cost its workers too often waits for a person."""
    before = timezone.now() - SILENT_AFTER
    rows = Upload.objects.filter(state=state, alive_at__lt=before, created_at__gt=before - timedelta(days=1))
    for upload in rows.filter(attempt__gte=MOST_ATTEMPTS) if state == UploadState.FETCHING else ():
        _refuse(upload, LOST)
    return list(rows.filter(attempt__lt=MOST_ATTEMPTS)[:50])
