"""Executing one run in this process while the terminal watches; Ctrl-C and SIGTERM cancel it."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from runs.engine.host import run_to_end, stop_all
from runs.models import Run
from runs.selectors import with_counters
from runs.services import CannotDo, run_cancel
from workspaces.access import Access

LOOK_EVERY_S = 0.2
Watch = Callable[[Run], None]


class _Engine(threading.Thread):
    """Runs the engine to the end of the run and of its judgings; keeps what it raised."""

    def __init__(self, run_id: int):
        super().__init__(name="evaluate", daemon=True)
        self.run_id = run_id
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            run_to_end(self.run_id)
            for judging in Run.objects.filter(judged=self.run_id).order_by("pk"):
                run_to_end(judging.pk)
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()


def execute(access: Access, run: Run, watch: Watch) -> tuple[Run, bool]:
    """The run after its end, and whether it was interrupted. Also if another process executes it."""
    engine = _Engine(run.pk)
    with _terminable():
        try:
            engine.start()
            while engine.is_alive():
                engine.join(LOOK_EVERY_S)
                watch(current(run.pk))
        except KeyboardInterrupt:
            _cancel(access, run)
            stop_all()
            return current(run.pk), True
    stop_all()
    if engine.error:
        raise engine.error
    return current(run.pk), False


def current(run_id: int) -> Run:
    """With its tallies; two queries."""
    return with_counters(Run.objects.select_related("workspace", "dataset_version")).get(pk=run_id)


def _cancel(access: Access, run: Run) -> None:
    try:
        run_cancel(access, run)
    except CannotDo:  # it ended at the same moment
        time.sleep(0)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM acts as Ctrl-C does. Only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
