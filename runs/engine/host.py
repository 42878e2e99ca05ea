"""The engine of a process: one loop in a thread, one database thread, one HTTP client, for all its pumps.

Celery's task threads and the terminal hand a run to the host and wait; runs in one process so share
connections and provider limits, and are fair to each other.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from django.conf import settings
from django.utils import timezone

from registry.client import Client
from runs import live
from runs.engine import leases
from runs.engine.database import DatabaseThread
from runs.engine.gates import Gates
from runs.engine.owners import new_owner
from runs.engine.plan import CannotRun, load_plan
from runs.engine.progress import Progress
from runs.engine.pump import Pump, Shared
from runs.engine.recording import Recorded
from runs.models import FINISHED_STATUSES, LogLine, Run, RunStatus, Tally

STOP_WITHIN_S = 2.0
logger = logging.getLogger(__name__)
OnRecord = Callable[[Recorded], None]


class Host:
    """Started at first use; `stop` aborts what is in flight and gives the leases back."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.stopping = False
        self._pumps: dict[asyncio.Task[None], int] = {}  # with the run of each
        self.thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def _share(self) -> Shared:
        return Shared(DatabaseThread(), Client(), Gates(), new_owner())

    def call(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def pump(self, run_id: int, slice_s: float, on_record: OnRecord | None = None) -> bool:
        """One slice of a run, from any thread; waits for its end. True if the run has work left."""
        return bool(self.call(self._pump(run_id, slice_s, on_record)).result())

    async def _pump(self, run_id: int, slice_s: float, on_record: OnRecord | None) -> bool:
        if self.stopping or run_id in self._pumps.values():  # that one goes on, or wakes the next
            return False
        if not hasattr(self, "shared"):
            self.shared = await self._share()
        task = asyncio.create_task(self._slice(run_id, slice_s, on_record))
        self._pumps[task] = run_id
        try:
            await task
        except asyncio.CancelledError:
            return False
        finally:
            del self._pumps[task]
        return bool(await self.shared.database.run(_has_work, run_id))

    async def _slice(self, run_id: int, slice_s: float, on_record: OnRecord | None) -> None:
        database = self.shared.database
        if not await database.run(leases.take_run, run_id, self.shared.owner):
            return
        try:
            plan = await database.run(load_plan, run_id)
            pump = Pump(self.shared, plan, slice_s, on_record)
            pump.progress = await database.run(progress_of, run_id)
            pump.reached = pump.progress.done > 0
            await live.announce(plan.workspace_id, run_id, -1)
            await pump.run()
            if await database.run(leases.finish, run_id):
                await database.run(say_finished, run_id)
            await live.announce(plan.workspace_id, run_id, -1)
        except CannotRun as stop:
            await database.run(leases.pause, run_id, str(stop))
        except Exception as error:
            logger.exception("run %s", run_id)
            await database.run(say, run_id, f"the worker failed, another one goes on: {error!r}", "error")
            raise
        finally:
            await asyncio.shield(database.run(leases.leave_run, run_id, self.shared.owner))

    def stop(self) -> None:
        """Aborts calls, gives leases back, closes connections; within seconds."""
        if self.stopping:
            return
        self.stopping = True
        with contextlib.suppress(Exception):
            self.call(self._shut()).result(timeout=STOP_WITHIN_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=STOP_WITHIN_S)

    async def _shut(self) -> None:
        pumps = list(self._pumps)
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        if hasattr(self, "shared"):
            await self.shared.client.aclose()
            await asyncio.to_thread(self.shared.database.close)


_host: Host | None = None
_host_pid = 0
_lock = threading.Lock()


def host() -> Host:
    """This process's host; a forked child makes its own."""
    global _host, _host_pid
    with _lock:
        if _host is None or _host_pid != os.getpid() or _host.stopping:
            _host, _host_pid = Host(), os.getpid()
        return _host


def stop_all() -> None:
    """Stops the engine of this process, if there is one."""
    with _lock:
        if _host is not None and _host_pid == os.getpid():
            _host.stop()


def run_to_end(run_id: int, on_record: OnRecord | None = None) -> str:
    """Executes a run in this process until it ends or is paused; returns its status.

    If another process is at work on it, waits for that one.
    """
    while True:
        host().pump(run_id, settings.ENGINE_SLICE_S, on_record)
        status = Run.objects.filter(pk=run_id).values_list("status", flat=True).first() or ""
        if status in FINISHED_STATUSES or status in (RunStatus.PAUSED, ""):
            return status
        time.sleep(0.2)


def say(run_id: int, text: str, level: str = "info") -> None:
    LogLine.objects.create(run_id=run_id, at=timezone.now(), level=level, text=text)


def _has_work(run_id: int) -> bool:
    return Run.objects.filter(pk=run_id, status__in=(RunStatus.PENDING, RunStatus.RUNNING)).exists()


def progress_of(run_id: int) -> Progress:
    """Where the log's progress lines go on."""
    run = Run.objects.get(pk=run_id)
    names = run.scorer_names
    tallies = list(Tally.objects.filter(run=run, scorer=names[0])) if names else []
    return Progress(
        run.total,
        run.done + run.errored,
        sum(tally.passed for tally in tallies),
        sum(tally.scored for tally in tallies),
    )


def say_finished(run_id: int) -> None:
    run, progress = Run.objects.get(pk=run_id), progress_of(run_id)
    texts = [f"{run.status}: {run.done:,} of {run.total:,} items done, {run.errored:,} errored"]
    if progress.scored:
        texts.append(progress.accuracy())
    LogLine.objects.bulk_create(LogLine(run=run, at=timezone.now(), text=text) for text in texts)
