"""The recorder of a slice: writes what came of its calls in batches, every 100 to 200 ms."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

from runs.engine import recording, summary
from runs.engine.database import DatabaseThread
from runs.engine.disk import DiskFull
from runs.engine.outcomes import Outcome
from runs.engine.plan import Plan
from runs.engine.progress import Progress
from runs.engine.recording import Recorded
from runs.engine.scoring import score
from runs.engine.showing import Showing

RECORD_EVERY_S = 0.1
RECORD_ENOUGH, RECORD_WITHIN_S = 32, 0.2  # fewer than that wait for more: a batch costs more than its rows
RECORD_MOST = 400
SUMMARY_SHARE = 0.02  # of the time may go into latency figures
FULL_EVERY_S = 2.0
T = TypeVar("T")


class Recorder:
    """Ends by itself when it is closed, so that a batch on its way is never written twice.

    `recorded` is told of each batch with how the run stands then; `full` when the disk is full: answers
    in flight are kept in memory until there is room, since they are paid for.
    """

    def __init__(
        self,
        database: DatabaseThread,
        plan: Plan,
        showing: Showing,
        recorded: Callable[[list[Outcome], Recorded], None],
        full: Callable[[], None],
    ):
        self.database, self.plan, self.showing = database, plan, showing
        self.recorded, self.full = recorded, full
        self.outcomes: list[Outcome] = []
        self.progress = Progress(plan.total)
        self.closing = False
        self._due = asyncio.Event()
        self._recorded_at = 0.0
        self._summary_due = 0.0

    async def run(self) -> None:
        while not self.closing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), RECORD_EVERY_S)
            late = time.monotonic() - self._recorded_at >= RECORD_WITHIN_S
            if late or self._due.is_set() or self._enough():
                self._due.clear()
                await self._record_known()
            await self.showing.show()
            if time.monotonic() > self._summary_due:
                await self._summarise()

    def hurry(self) -> None:
        """There is nothing to wait for."""
        self._due.set()

    def close(self) -> None:
        self.closing = True
        self.hurry()

    def _enough(self) -> bool:
        return len(self.outcomes) >= RECORD_ENOUGH

    async def _record_known(self) -> None:
        """What has come by now. Few that come while it is written wait: else a slow database gets slower."""
        left = len(self.outcomes)
        while left > 0 or self._enough():
            left -= await self._record()

    async def flush(self) -> None:
        """Everything, also what comes meanwhile."""
        while self.outcomes:
            await self._record()

    async def _record(self) -> int:
        """How many outcomes the batch had."""
        batch = self.outcomes[:RECORD_MOST]
        if any(outcome.subject for outcome in batch):
            batch = batch[: await self._while_full(score, self.plan.scorers, batch)]
        lines = self.progress.lines(batch)
        state = await self._while_full(
            recording.record, self.plan.run_id, batch, self.plan.calls, lines, self.plan.judge
        )
        self._recorded_at = time.monotonic()
        del self.outcomes[: len(batch)]
        self.recorded(batch, state)
        await self.showing.announce(state.sequence)
        return len(batch)

    async def _while_full(self, function: Callable[..., T], *args: object) -> T:
        """On the database thread, again and again while its disk is full."""
        while True:
            try:
                return await self.database.run(function, *args)
            except DiskFull:
                self.full()
                await asyncio.sleep(FULL_EVERY_S)

    async def _summarise(self) -> None:
        """Every two seconds, or more seldom when it takes longer than its share of the time."""
        began = time.monotonic()
        if self.plan.calls:
            await self.database.run(summary.summarise, self.plan.run_id)
        took = time.monotonic() - began
        self._summary_due = time.monotonic() + max(2.0, took / SUMMARY_SHARE)
