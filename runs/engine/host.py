"""The engine of a process: one loop in a thread, one database thread, one HTTP client, for all its pumps.

Celery's task threads and the terminal hand a run to the host and wait; runs in one process so share
connections and provider limits, and are fair to each other. While it works, a host also adopts runs
that nobody executes: a small run beside a large one need not wait for a free worker.
"""

import asyncio
import contextlib
import gc
import logging
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from math import inf
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from registry.client import Client
from runs.engine import disk, leases, making, recovery, workers
from runs.engine.canceling import canceled
from runs.engine.database import DatabaseThread
from runs.engine.gates import Gates
from runs.engine.journal import Journal
from runs.engine.owners import new_owner
from runs.engine.plan import CannotRun, load_plan
from runs.engine.progress import Progress
from runs.engine.pump import Pump, Shared
from runs.engine.recording import Recorded
from runs.engine.showing import say
from runs.engine.summary import summarise
from runs.models import FINISHED_STATUSES, LogLine, Run, RunStatus, Tally

STOP_WITHIN_S = 2.0
FINISH_WITHIN_S = 6.0  # calls in flight, when the process is asked to end
TICK_S = 1.0
MOST_HELD = 8  # times the slots: runs at work and those that wait for their provider, which cost only memory
REPORT_EVERY = 5  # ticks
SWITCH_S = 0.0005  # the interpreter's own 5 ms keep answers waiting while the database thread computes
MAKE_AGAIN_S = 5.0
COURTESY_S = 30.0  # of runs to an import; a process that cannot begin it may have calls out for hours
MESSAGE_S = 0.3  # until a free worker has heard of a launch and is at work on it
logger = logging.getLogger(__name__)
OnRecord = Callable[[Recorded], None]
_ending = mmap.mmap(-1, 1)  # shared with forked children: the worker was asked to end


def end_soon() -> None:
    """Of a worker and its children: what is in flight may finish for some seconds, the rest is given back."""
    _ending[0] = 1


def seldom_collect() -> None:
    """What is loaded by now stays, so the garbage collector need not go through it again and again while
    thousands of calls come and go: a tenth of the engine's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)


class Host:
    """Started at first use; `stop` aborts what is in flight and gives the leases back."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.stopping = self.ending = self.adopting = False
        self.shared: Shared | None = None
        self.maker = DatabaseThread()  # of trials
        self._slices: dict[int, asyncio.Task[None]] = {}  # by run
        self._pumps: dict[int, Pump] = {}
        self._began: dict[int, float] = {}  # by run, when this process last began to work on it
        self._left: dict[int, float] = {}  # and when it ended
        self.thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        seldom_collect()
        sys.setswitchinterval(SWITCH_S)
        self.loop.run_forever()

    def call(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def pump(
        self, run_id: int, slice_s: float, on_record: OnRecord | None = None, *, adopts: bool = False
    ) -> bool:
        """One slice of a run, from any thread; waits for its end. True if the run has work left.

        A process that `adopts` runs waits for the end of theirs as well.
        """
        self.adopting = self.adopting or adopts
        return bool(self.call(self._pump(run_id, slice_s, on_record, adopts)).result())

    @property
    def over(self) -> bool:
        return self.stopping or self.ending

    def report(self) -> None:
        """Makes the process known as a worker, from any thread; from then on it reports by itself."""
        self.call(self._ready()).result()

    # -- slices ------------------------------------------------------------------------------------

    async def _ready(self) -> Shared:
        if self.shared is None:
            owner = new_owner()
            self.shared = Shared(DatabaseThread(), Client(), Gates(owner), Journal(owner), owner, self._wake)
            self._ticker = asyncio.create_task(self._tick_forever(self.shared))
        return self.shared

    async def _pump(self, run_id: int, slice_s: float, on_record: OnRecord | None, adopts: bool) -> bool:
        if self.over or run_id in self._slices:  # that one goes on, or wakes the next
            return False
        shared = await self._ready()
        await self._start(shared, run_id, slice_s, on_record)
        while adopts and self._slices:
            await asyncio.wait([*self._slices.values()])
        return not self.over and bool(await shared.database.run(_needs_pump, run_id))

    def _start(
        self, shared: Shared, run_id: int, slice_s: float, on_record: OnRecord | None = None
    ) -> "asyncio.Future[Any]":
        task = asyncio.create_task(self._slice(shared, run_id, slice_s, on_record))
        self._slices[run_id], self._began[run_id] = task, time.monotonic()
        task.add_done_callback(lambda _: self._ended(run_id))
        return asyncio.gather(task, return_exceptions=True)

    def _wake(self, judgings: Sequence[int]) -> None:
        """Responses have come that these may judge."""
        now = time.monotonic()
        for run_id in judgings:
            if pump := self._pumps.get(run_id):
                pump.wake.set()
            elif self._may_start(run_id) and now - self._began.get(run_id, 0.0) > TICK_S:
                assert self.shared is not None
                self._start(self.shared, run_id, settings.ENGINE_SLICE_S)

    def _may_start(self, run_id: int) -> bool:
        """A run that only waits takes nobody's slot."""
        held = sum(pump.is_held for pump in self._pumps.values())
        slots = settings.ENGINE_SLOTS
        free = len(self._slices) - held < slots and len(self._slices) < MOST_HELD * slots
        return free and not self.over and run_id not in self._slices

    def _ended(self, run_id: int) -> None:
        del self._slices[run_id]
        self._left[run_id] = time.monotonic()
        self._pumps.pop(run_id, None)

    async def _slice(self, shared: Shared, run_id: int, slice_s: float, on_record: OnRecord | None) -> None:
        database = shared.database
        if not await self._has_trials(database, run_id) or self.over:
            return
        if not await database.run(leases.take_run, run_id, shared.owner):
            return
        try:
            plan = await database.run(load_plan, run_id)
            if short := disk.shortage():
                raise CannotRun(short)
            pump = self._pumps[run_id] = Pump(shared, plan, slice_s, on_record)
            if self.ending:
                pump.stop(within_s=FINISH_WITHIN_S)
            pump.recorder.progress = await database.run(progress_of, run_id)
            pump.reached = pump.recorder.progress.done > 0
            await pump.showing.announce()
            await pump.run()
            if await database.run(leases.finish, run_id):
                await database.run(conclude, run_id)
                for judging in await database.run(leases.finish_judgings, run_id):
                    await database.run(conclude, judging)
            await pump.showing.announce()
        except CannotRun as stop:
            await database.run(leases.pause, run_id, str(stop))
        except Exception as error:
            logger.exception("run %s", run_id)
            with contextlib.suppress(Exception):
                await database.run(say, run_id, f"the worker failed, another one goes on: {error!r}", "error")
        finally:
            await asyncio.shield(database.run(leases.leave_run, run_id, shared.owner))

    async def _has_trials(self, database: DatabaseThread, run_id: int) -> bool:
        """Makes those that a large launch left: beside the database thread, since it takes seconds."""
        if disk.shortage() or not await database.run(making.are_left, run_id):
            return True
        try:
            await self.maker.run(making.make_trials, run_id)
        except Exception as error:
            logger.exception("run %s, its trials", run_id)
            text = f"its items could not be prepared, a worker tries again: {error!r}"
            with contextlib.suppress(Exception):
                await database.run(say, run_id, text, "error")
            await asyncio.sleep(MAKE_AGAIN_S)
            return False
        return True

    # -- the process's own heartbeat -----------------------------------------------------------------

    async def _tick_forever(self, shared: Shared) -> None:
        tick = 0
        while True:
            if tick % REPORT_EVERY == 0:
                await self._quietly(self._report(shared))
            await asyncio.sleep(TICK_S)
            tick += 1
            if _ending[0] and not self.ending:
                self.ending = True
                for pump in self._pumps.values():
                    pump.stop(within_s=FINISH_WITHIN_S)
            if self._slices:
                await self._quietly(shared.gates.sync(shared.database))
            if self._slices and self.adopting and not self.ending:
                await self._quietly(self._adopt(shared))
                if tick % REPORT_EVERY == 0:
                    await self._quietly(self._sweep(shared))

    async def _adopt(self, shared: Shared) -> None:
        """Takes on runs that nobody executes although their message is out: no worker is free for them.

        New ones first; those that have made room for an import, once it has begun or had time to.
        """
        if not (orphans := await self._orphans(shared)):
            return
        await asyncio.sleep(MESSAGE_S)
        if _ending[0]:
            return
        orphans &= await self._orphans(shared)
        courteous = {pk for pk in orphans if self._left.get(pk, -inf) > time.monotonic() - COURTESY_S}
        if courteous:
            import_waits: bool = await shared.database.run(leases.import_waits)
            orphans -= courteous if import_waits else set()
        for run_id in sorted(orphans, key=lambda pk: (self._left.get(pk, -inf), pk)):
            if self._may_start(run_id):
                self._start(shared, run_id, settings.ENGINE_SLICE_S)

    async def _orphans(self, shared: Shared) -> set[int]:
        return {run_id for run_id in await shared.database.run(leases.orphans) if self._may_start(run_id)}

    @staticmethod
    async def _sweep(shared: Shared) -> None:
        """While runs fill all places of the workers, no sweep's message gets through."""
        await shared.database.run(recovery.sweep)

    async def _report(self, shared: Shared) -> None:
        await shared.database.run(workers.report, shared.owner, len(self._slices), shared.gates.in_flight())

    @staticmethod
    async def _quietly(work: Coroutine[Any, Any, None]) -> None:
        """The next tick tries again."""
        try:
            await work
        except (DatabaseError, InterfaceError, disk.DiskFull) as error:
            logger.warning("engine: %s", error)

    # -- the end -------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Aborts calls, gives leases back, closes connections; within seconds."""
        self.stopping = True
        with contextlib.suppress(Exception):
            self.call(self._shut()).result(timeout=STOP_WITHIN_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=STOP_WITHIN_S)

    async def _shut(self) -> None:
        slices = [*self._slices.values()]
        for task in slices:
            task.cancel()
        await asyncio.gather(*slices, return_exceptions=True)
        if self.shared is None:
            return
        await canceled(self._ticker)
        await self.shared.client.aclose()
        with contextlib.suppress(DatabaseError, InterfaceError):
            await self.shared.gates.leave(self.shared.database)
            await self.shared.database.run(workers.leave, self.shared.owner)
        await asyncio.to_thread(self.shared.database.close)
        await asyncio.to_thread(self.maker.close)
        self.shared.journal.close()


_host: Host | None = None
_host_pid = 0
_lock = threading.Lock()


def host() -> Host:
    """This process's host; a forked child makes its own."""
    global _host, _host_pid
    with _lock:
        if _host is None or _host_pid != os.getpid() or not _host.thread.is_alive():
            _host, _host_pid = Host(), os.getpid()
        return _host


def stop_all() -> None:
    """Stops the engine of this process, if there is one."""
    with _lock:
        if _host is not None and _host_pid == os.getpid() and _host.thread.is_alive():
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


def _needs_pump(run_id: int) -> bool:
    """Whether there is work for this process: not while others hold all that is left."""
    run = Run.objects.filter(pk=run_id, status__in=(RunStatus.PENDING, RunStatus.RUNNING))
    return run.exists() and (leases.left_to_claim(run_id) or run_id in leases.orphans())


def progress_of(run_id: int) -> Progress:
    """Where the log's progress lines go on."""
    run = Run.objects.select_related("judged").get(pk=run_id)
    names = run.scorer_names
    tallies = list(Tally.objects.filter(run=run, scorer=names[0])) if names else []
    return Progress(
        run.judged.total * run.passes if run.judged else run.total,
        run.done + run.errored,
        sum(tally.passed for tally in tallies),
        sum(tally.scored for tally in tallies),
    )


def conclude(run_id: int) -> None:
    """The last words and figures of a run, by the one process that ended it; of a judging also of what it
    judged."""
    summarise(run_id, final=True)
    run, progress = Run.objects.select_related("judged").get(pk=run_id), progress_of(run_id)
    if run.judged and run.judged.is_finished:
        summarise(run.judged.pk, final=True)
    texts = [f"{run.status}: {run.done:,} of {run.total:,} items done, {run.errored:,} errored"]
    if progress.scored:
        texts.append(progress.accuracy())
    LogLine.objects.bulk_create(LogLine(run=run, at=timezone.now(), text=text) for text in texts)
