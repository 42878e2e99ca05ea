"""Celery tasks: thin, with ids as arguments."""

from celery import shared_task


@shared_task(name="runs.tasks.sweep")
def sweep() -> None:
    """Puts right what a lost worker or message left behind."""


@shared_task(name="runs.tasks.pump")
def pump(run_id: int) -> None:
    """One slice of a run."""
