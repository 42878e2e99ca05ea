"""Celery tasks: thin, with ids as arguments."""

from celery import shared_task

from datasets.editing import draft_fill
from datasets.models import DatasetVersion, Draft, DraftState
from datasets.publishing import publish_finish
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


@shared_task(name="datasets.tasks.draft_fill")  # type: ignore[untyped-decorator]
def draft_fill_later(draft_id: int) -> None:
    """Copies a large version into its draft; a second delivery goes on where the first one ended."""
    draft = Draft.objects.select_related("version").filter(pk=draft_id, state=DraftState.COPYING).first()
    if draft:
        draft_fill(draft)


@shared_task(name="datasets.tasks.draft_publish")  # type: ignore[untyped-decorator]
def draft_publish_later(draft_id: int) -> None:
    """Finishes a large draft that was closed for it."""
    drafts = Draft.objects.select_related("version", "dataset")
    draft = drafts.filter(pk=draft_id, state=DraftState.PUBLISHING).first()
    if draft:
        publish_finish(draft)
