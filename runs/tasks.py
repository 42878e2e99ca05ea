"""Celery tasks: thin, with ids as arguments. A lost message is made good by the next sweep."""

import threading
from typing import Any

from celery import shared_task, signals
from django.conf import settings
from django.db import close_old_connections

from runs.engine import leases, recovery
from runs.engine.database import set_session
from runs.engine.host import end_soon, host
from runs.models import Run
from runs.selectors_figures import Asked, keep_figures

WAKE_WITHIN_S = 10.0  # after that a later sweep has sent the message anew


@shared_task(name="runs.tasks.pump")  # type: ignore[untyped-decorator]
def pump(run_id: int, joins: bool = False) -> None:
    """One slice of a run; goes on in another while work is left, so that other runs get their turn.

    The first process at a large run calls others that are free to join it. A connection that broke when the
    database was restarted is left behind first, here as in the sweep.
    """
    close_old_connections()
    if not joins:
        for _ in range(leases.pumps_missing(run_id) - 1):
            pump.apply_async((run_id, True), expires=WAKE_WITHIN_S)
    if host().pump(run_id, settings.ENGINE_SLICE_S, adopts=True):
        pump.apply_async((run_id, joins), countdown=0.2)


@shared_task(name="runs.tasks.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Puts right what a lost worker or message left behind."""
    close_old_connections()
    set_session()
    for run_id in recovery.sweep():
        pump.apply_async((run_id, True), expires=WAKE_WITHIN_S)


@shared_task(name="runs.tasks.figures")  # type: ignore[untyped-decorator]
def figures(run_id: int, scorer: str, cluster: str) -> None:
    """Metrics over all trials of a large run, for its page."""
    close_old_connections()
    run = Run.objects.filter(pk=run_id).first()
    if run is not None:
        keep_figures(run, Asked(scorer, cluster))


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def report(**_: Any) -> None:
    """A worker's process makes itself known before it has anything to do; the signal must not wait for it."""
    threading.Thread(target=lambda: host().report(), name="report", daemon=True).start()


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def end(**_: Any) -> None:
    """A worker that was asked to end gives its processes some seconds to finish what is in flight."""
    end_soon()
