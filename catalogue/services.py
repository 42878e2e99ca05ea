"""What people command: fetch data from the hub, import a known benchmark."""

from collections.abc import Iterable
from dataclasses import asdict

from django.db import transaction
from django.utils import timezone

from catalogue.entries import Entry
from catalogue.hub import BadPlace, Place, is_available
from catalogue.tasks import entry_import, fetch
from datasets.mapping import Mapping
from datasets.models import Upload, UploadState
from datasets.uploads import upload_create, upload_expect
from workspaces.access import Access

__all__ = ["BadPlace", "entry_fetch", "entry_receive", "place_fetch"]


def place_fetch(access: Access, place: Place, *, dataset_name: str = "") -> Upload:
    """An upload that a worker fetches; then its mapping is chosen. Raises BadPlace."""
    return _expect(access, place, dataset_name or place.repo.rpartition("/")[2], "", None)


def entry_fetch(access: Access, entry: Entry) -> Upload:
    """One click: the data of a known benchmark and the benchmark. Raises BadPlace where no hub is set."""
    return _expect(access, entry.place, entry.title, entry.key, entry.mapping)


def entry_receive(access: Access, entry: Entry, *, source_name: str, chunks: Iterable[bytes]) -> Upload:
    """The same from a file that was downloaded beforehand. Raises uploads.UploadRefused."""
    upload = upload_create(
        access,
        source_name=source_name,
        chunks=chunks,
        dataset_name=entry.title,
        mapping=entry.mapping,
        origin=_origin(entry.place, entry.key) | {"kind": "file"},
    )
    with transaction.atomic():
        Upload.objects.filter(pk=upload.pk).update(
            state=UploadState.QUEUED, alive_at=timezone.now(), progress_total=2 * upload.size_bytes
        )
        entry_import.delay_on_commit(upload.pk)
    return upload


def _origin(place: Place, entry: str) -> dict[str, str]:
    return {"kind": "hub", **asdict(place), **({"entry": entry} if entry else {})}


def _expect(access: Access, place: Place, name: str, entry: str, mapping: Mapping | None) -> Upload:
    place.check()
    if not is_available():
        raise BadPlace("No hub is set: the operator names one in EVALPORTAL_HUB_URL.")
    with transaction.atomic():
        upload = upload_expect(
            access,
            source_name=f"{place}"[:255],
            dataset_name=name[:120],
            origin=_origin(place, entry),
            mapping=mapping,
        )
        fetch.delay_on_commit(upload.pk)
    return upload
