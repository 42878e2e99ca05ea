"""The recorder of a slice: writes what came of its calls in batches, every 100 to 200 ms."""

import asyncio
import contextlib
import time
from collections.abc import Callable

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
            if not self._enough():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._due.wait(), RECORD_EVERY_S)
            late = time.monotonic() - self._recorded_at >= RECORD_WITHIN_S
            if self.outcomes and (late or self._due.is_set() or self._enough()):
                self._due.clear()
                await self._record()
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

    async def flush(self) -> None:
        """Everything, also what comes meanwhile."""
        while self.outcomes:
            await self._record()

    async def _record(self) -> None:
        """A batch: of the oldest those that have their scores."""
        batch = self.outcomes[:RECORD_MOST]
        await score(self.plan.scorers, batch)
        left = [outcome for outcome in batch if outcome.subject is not None]
        batch = [outcome for outcome in batch if outcome.subject is None]
        self.outcomes[: len(batch) + len(left)] = [*batch, *left]
        lines = self.progress.lines(batch)
        state = await self._write(batch, lines)
        self._recorded_at = time.monotonic()
        del self.outcomes[: len(batch)]
        self.recorded(batch, state)
        await self.showing.announce(state.sequence)

    async def _write(self, batch: list[Outcome], lines: list[tuple[str, str]]) -> Recorded:
        while True:
            try:
                return await self.database.run(
                    recording.record, self.plan.run_id, batch, self.plan.calls, lines, self.plan.judge
                )
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
