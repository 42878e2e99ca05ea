"""Celery tasks: thin, with ids as arguments."""

from celery import shared_task

from datasets.models import DatasetVersion
from datasets.removal import version_remove
from datasets.uploading import upload_run


@shared_task(name="datasets.tasks.version_remove")  # type: ignore[untyped-decorator]
def version_remove_later(version_id: int) -> None:
    """Removes a hidden version; a lost message is made up for by `removal.abandoned_remove`."""
    version = DatasetVersion.objects.filter(pk=version_id, ready_at=None).first()
    if version:
        version_remove(version)


@shared_task(name="datasets.tasks.upload_import")  # type: ignore[untyped-decorator]
def upload_import(upload_id: int) -> None:
    """Imports a large upload."""
    upload_run(upload_id)
