"""Celery tasks: thin, with ids as arguments."""

from celery import shared_task

from catalogue.fetching import entry_run, fetch_run


@shared_task(name="catalogue.tasks.fetch")  # type: ignore[untyped-decorator]
def fetch(upload_id: int) -> None:
    """Fetches an upload's file from the hub."""
    fetch_run(upload_id)


@shared_task(name="catalogue.tasks.entry_import")  # type: ignore[untyped-decorator]
def entry_import(upload_id: int) -> None:
    """Imports the file of a known benchmark that someone sent."""
    entry_run(upload_id)
