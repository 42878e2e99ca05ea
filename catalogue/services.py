"""What people command: fetch data from the hub, import a known benchmark, prepare it, keep a hub token."""

import string
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from benchmarks.models import Benchmark
from catalogue import preparing
from catalogue.entries import Entry
from catalogue.hub import BadPlace, Place, hub_host, hub_origin, is_available
from catalogue.models import HubToken
from catalogue.tasks import entry_import, fetch
from datasets.mapping import Mapping
from datasets.models import Upload, UploadState
from datasets.tasks import upload_import
from datasets.uploading import is_silent
from datasets.uploads import upload_create, upload_expect
from evalportal.lib.secret_fields import Secret
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused

__all__ = ["BadPlace", "Refused", "entry_fetch", "entry_prepare", "entry_receive", "place_fetch"]

NO_HUB = "No hub is set: the operator names one in EVALPORTAL_HUB_URL."


def place_fetch(access: Access, place: Place, *, dataset_name: str = "") -> Upload:
    """An upload that a worker fetches; then its mapping is chosen. Raises BadPlace."""
    return _expect(access, place, dataset_name or place.repo.rpartition("/")[2], _origin(place), None)


def entry_fetch(access: Access, entry: Entry, *, judge_model: int | None = None) -> Upload:
    """One click: the data of a known benchmark and the benchmark. Raises BadPlace where no hub is set."""
    return _expect(access, entry.place, entry.title, _origin_of(entry, judge_model), entry.mapping)


def entry_receive(
    access: Access,
    entry: Entry,
    *,
    source_name: str,
    chunks: Iterable[bytes],
    judge_model: int | None = None,
) -> Upload:
    """The same from a file that was downloaded beforehand. Raises uploads.UploadRefused."""
    upload = upload_create(
        access,
        source_name=source_name,
        chunks=chunks,
        dataset_name=entry.title,
        mapping=entry.mapping,
        origin=_origin_of(entry, judge_model) | {"kind": "file"},
    )
    _import_later(upload)
    return upload


def upload_again(access: Access, upload: Upload) -> None:
    """Fetches or imports again what a lost worker left behind."""
    if not is_silent(upload):
        return
    if upload.state != UploadState.FETCHING:
        _import_later(upload)
        return
    with transaction.atomic():
        Upload.objects.filter(pk=upload.pk, state=UploadState.FETCHING).update(progress_done=0)
        fetch.delay_on_commit(upload.pk)


def entry_prepare(access: Access, entry: Entry, *, judge_model: int | None = None) -> Benchmark:
    """The benchmark of data that are here already. Raises Refused."""
    version = preparing.latest_of(access.workspace, entry)
    if version is None:
        raise Refused(f"Import {entry.title} first.")
    return preparing.benchmark_prepare(access, entry, version, judge_model)


def hub_token_set(access: Access, token: str) -> None:
    """Keeps the workspace's token for the present hub; an empty one is forgotten. Raises Refused."""
    token = token.strip()
    if token and not settings.HUB_URL:
        raise Refused(NO_HUB)
    if len(token) > 500 or set(token) - set(string.ascii_letters + string.digits + string.punctuation):
        raise Refused("A token has at most 500 letters, digits and signs, without spaces.")
    with transaction.atomic():
        if token:
            values: dict[str, Any] = {"token": Secret(token), "origin": hub_origin()}
            HubToken.objects.update_or_create(workspace=access.workspace, defaults=values)
        else:
            HubToken.objects.filter(workspace=access.workspace).delete()
        audit.record(access, "hub_token.set" if token else "hub_token.remove", hub_host() if token else "")


def _import_later(upload: Upload) -> None:
    task = entry_import if upload.origin.get("entry") else upload_import
    with transaction.atomic():
        Upload.objects.filter(pk=upload.pk).update(
            state=UploadState.QUEUED,
            alive_at=timezone.now(),
            progress_done=0,
            progress_total=2 * upload.size_bytes,
        )
        task.delay_on_commit(upload.pk)


def _origin(place: Place) -> dict[str, Any]:
    return {"kind": "hub", **asdict(place)}


def _origin_of(entry: Entry, judge_model: int | None) -> dict[str, Any]:
    chosen = {"judge_model": judge_model} if judge_model and entry.rubric else {}
    return _origin(entry.place) | {"entry": entry.key} | chosen


def _expect(
    access: Access, place: Place, name: str, origin: dict[str, Any], mapping: Mapping | None
) -> Upload:
    place.check()
    if not is_available():
        raise BadPlace(NO_HUB)
    busy = (UploadState.FETCHING, UploadState.QUEUED, UploadState.IMPORTING)
    mine = Upload.objects.filter(workspace=access.workspace, created_by=access.actor, state__in=busy)
    if under_way := mine.filter(origin=origin, dataset_name=name[:120]).first():
        return under_way  # a double click
    with transaction.atomic():
        upload = upload_expect(
            access, source_name=f"{place}"[:255], dataset_name=name[:120], origin=origin, mapping=mapping
        )
        fetch.delay_on_commit(upload.pk)
    return upload
