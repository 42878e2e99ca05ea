"""Celery tasks: thin, with ids as arguments. A lost message is made good by the next sweep."""

from celery import shared_task
from django.db import close_old_connections
from django.utils import timezone

from catalogue.fetching import entry_run, fetch_run, lost_uploads
from datasets.models import Upload, UploadState
from datasets.tasks import upload_import


@shared_task(name="catalogue.tasks.fetch")  # type: ignore[untyped-decorator]
def fetch(upload_id: int) -> None:
    """Fetches an upload's file from the hub."""
    close_old_connections()
    fetch_run(upload_id)


@shared_task(name="catalogue.tasks.entry_import")  # type: ignore[untyped-decorator]
def entry_import(upload_id: int) -> None:
    """Imports the file of a known benchmark, then prepares the benchmark."""
    close_old_connections()
    entry_run(upload_id)


@shared_task(name="catalogue.tasks.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Takes up fetches and imports again whose worker was lost, or whose message was."""
    close_old_connections()
    for upload in lost_uploads(UploadState.FETCHING):
        fetch.delay(upload.pk)
    for state in (UploadState.QUEUED, UploadState.IMPORTING):
        for upload in lost_uploads(state):
            mine = Upload.objects.filter(pk=upload.pk, state=state, attempt=upload.attempt)
            if mine.update(state=UploadState.QUEUED, alive_at=timezone.now()):
                (entry_import if upload.origin.get("entry") else upload_import).delay(upload.pk)
