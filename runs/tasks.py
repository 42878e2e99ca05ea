"""Celery tasks: thin, with ids as arguments. A lost message is made good by the next sweep."""

from celery import shared_task
from django.conf import settings

from runs.engine import leases
from runs.engine.host import host


@shared_task(name="runs.tasks.pump")  # type: ignore[untyped-decorator]
def pump(run_id: int) -> None:
    """One slice of a run; goes on in another while work is left, so that other runs get their turn."""
    if host().pump(run_id, settings.ENGINE_SLICE_S):
        pump.apply_async((run_id,), countdown=0.2)


@shared_task(name="runs.tasks.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Puts right what a lost worker or message left behind."""
    for run_id in leases.sweep():
        pump.delay(run_id)
