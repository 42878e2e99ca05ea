"""A worker's part: fetches files from the hub, has them imported, and prepares the benchmark."""

import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from benchmarks.models import Benchmark
from benchmarks.services.editing import benchmark_create
from benchmarks.wish import BenchmarkProblems, BenchmarkWish, PartWish
from catalogue.entries import ENTRIES, Entry
from catalogue.hub import Place, commit_of, parquet_urls
from datasets.models import DatasetVersion, Upload, UploadState
from datasets.uploading import REPORT_EVERY_S, ImportStopped, upload_arrived, upload_run
from registry.fetching import FetchFailed, fetch_file
from workspaces import access
from workspaces.models import Role

log = logging.getLogger(__name__)


def fetch_run(upload_id: int) -> None:
    """Fetches what an upload's origin names. A known benchmark is imported at once, other data wait."""
    claimed = Upload.objects.filter(pk=upload_id, state=UploadState.FETCHING, attempt=0).update(
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
        _refuse(upload, "The data could not be fetched because of a fault in the portal; try again.")
        return
    if upload.origin.get("entry"):
        entry_run(upload_id)


def entry_run(upload_id: int) -> None:
    """Imports the data of a known benchmark, then prepares it."""
    upload_run(upload_id)
    upload = Upload.objects.select_related("workspace", "created_by", "version").filter(pk=upload_id).first()
    if upload and upload.state == UploadState.DONE and upload.version:
        benchmark_prepare(upload, upload.version)


def benchmark_prepare(upload: Upload, version: DatasetVersion) -> Benchmark | None:
    """A benchmark of one part, unless one of that name is there or nothing in it can be scored by code."""
    entry: Entry | None = ENTRIES.get(upload.origin.get("entry", ""))
    if entry is None or not entry.scorers:
        return None
    held = access.access_for(upload.created_by, upload.workspace.slug, Role.EDITOR)
    part = PartWish(
        version_id=version.pk,
        scorers=entry.scorers,
        template=entry.template,
        params=entry.params,
        measure=entry.measure,
    )
    summary = "\n\n".join(filter(None, (entry.summary, entry.source and f"Source: {entry.source}")))
    try:
        return benchmark_create(held, BenchmarkWish(name=entry.title, summary=summary, parts=[part]))
    except BenchmarkProblems as error:
        log.info("no benchmark for %s: %s", entry.key, error)
        return None


def _fetch(upload: Upload) -> None:
    place = Place(**{name: upload.origin[name] for name in ("repo", "config", "split", "revision")})
    urls = parquet_urls(place)
    upload.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    upload.source_name = (
        f"{place.repo.rpartition('/')[2]}-{place.split}.{'zip' if len(urls) > 1 else 'parquet'}"
    )
    parts: list[Path] = []
    try:
        size = 0
        for number, url in enumerate(urls):
            part = upload.path.with_name(f"{upload.token}.part{number:04}")
            parts.append(part)
            limit = settings.UPLOAD_MAX_BYTES - size
            size += fetch_file(url, part, limit=limit, on_bytes=Arrival(upload, number, len(urls)))
        _together(parts, upload.path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    upload.origin = upload.origin | {"commit": commit_of(place), "fetched_at": timezone.now().isoformat()}
    upload_arrived(upload, queue=bool(upload.origin.get("entry")))


def _together(parts: Sequence[Path], path: Path) -> None:
    """One file as it is, several as a zip of them."""
    if len(parts) == 1:
        parts[0].replace(path)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, part in enumerate(parts):
            archive.write(part, f"{number:04}.parquet")
    path.chmod(0o600)


def _refuse(upload: Upload, reason: str) -> None:
    problems: list[dict[str, Any]] = [{"line": 0, "field": "", "reason": reason}]
    Upload.objects.filter(pk=upload.pk, state=UploadState.FETCHING).update(
        state=UploadState.REFUSED, problems=problems, problem_count=1
    )


class Arrival:
    """Notes on the row how much of the files has arrived; raises ImportStopped once the row is gone."""

    def __init__(self, upload: Upload, number: int, count: int):
        self.upload, self.number, self.count, self.next_at = upload, number, count, 0.0

    def __call__(self, size: int) -> None:
        if monotonic() < self.next_at:
            return
        self.next_at = monotonic() + REPORT_EVERY_S
        mine = Upload.objects.filter(pk=self.upload.pk, state=UploadState.FETCHING)
        if not mine.update(
            progress_done=self.number, progress_total=self.count, size_bytes=size, alive_at=timezone.now()
        ):
            raise ImportStopped
