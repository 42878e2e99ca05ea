"""Celery tasks: thin, with ids as arguments. A lost message is made good when someone looks."""

from celery import shared_task
from django.db import close_old_connections

from generation.reading import generation_read


@shared_task(name="generation.tasks.read")  # type: ignore[untyped-decorator]
def read(generation_id: int) -> None:
    """Reads the documents of a drafting, then launches its run."""
    close_old_connections()
    generation_read(generation_id)
