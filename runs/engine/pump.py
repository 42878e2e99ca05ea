"""One slice of one run: a sliding window of K calls in flight, fed by leases, drained into batched records.

Three kinds of coroutine share the slice: the feeder leases trials before the queue runs dry, K
workers attempt them one by one, and the recorder writes what came of it every ~100 ms. A keeper
renews the leases and reads pause and cancel.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

from registry.client import Client
from runs import live
from runs.engine import leases, recording, summary
from runs.engine.attempts import attempt
from runs.engine.database import DatabaseThread
from runs.engine.gates import Gate, Gates
from runs.engine.leases import Claimed
from runs.engine.outcomes import Outcome
from runs.engine.plan import CannotRun, Plan, Work, load_work
from runs.engine.progress import Progress
from runs.engine.recording import Recorded
from runs.glimpses import Glimpse, show_glimpse
from runs.models import RunStatus

RECORD_EVERY_S = 0.1
RECORD_MOST = 200
KEEP_EVERY_S = 5.0
LOST_AFTER_S = 15.0
LOOK_AHEAD_S = 1.0
NEVER_REACHED = 12  # failed connections before the first answer of any kind
GLIMPSE_EVERY_S = 0.25
SUMMARY_SHARE = 0.02  # of the time may go into latency figures
T = TypeVar("T")
logger = logging.getLogger(__name__)


class NotSent(Exception):
    """The slice ended before this item's turn at the provider came."""


@dataclass
class Shared:
    """What the pumps of one process share."""

    database: DatabaseThread
    client: Client
    gates: Gates
    owner: str


@dataclass
class Pump:
    """The state of one slice."""

    shared: Shared
    plan: Plan
    slice_s: float
    on_record: Callable[[Recorded], None] | None = None
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.queue: asyncio.Queue[Work | None] = asyncio.Queue()
        self.outcomes: list[Outcome] = []
        self.in_hand: dict[int, Claimed] = {}
        self.at_gate: set[asyncio.Task[None]] = set()
        self.wake = asyncio.Event()
        self.drain = False
        self.closing = False
        self.exhausted = False
        self.reason = ""
        self.completed = 0
        self.progress = Progress(self.plan.total)
        self.reached = False
        self.unreached = 0
        self.glimpse: Glimpse | None = None
        self.glimpse_changed = False
        self.summary_due = 0.0
        self.renewed = time.monotonic()

    @property
    def workers(self) -> int:
        return max(1, min(self.plan.concurrency, self.plan.total))

    async def run(self) -> None:
        """Until nothing is left, the slice is over and others wait, or the run is paused or canceled."""
        workers = [asyncio.create_task(self._work()) for _ in range(self.workers)]
        recorder = asyncio.create_task(self._record_forever())
        keeper = asyncio.create_task(self._keep())
        window = asyncio.create_task(self._feed(workers))
        try:
            await asyncio.wait({window, keeper, recorder}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (window, keeper, *workers):
                task.cancel()
            self.closing = True  # the recorder ends by itself: a batch on its way is not written twice
            results = await asyncio.gather(window, keeper, recorder, *workers, return_exceptions=True)
            await self._settle()
        for result in results:
            if isinstance(result, Exception):
                raise result

    # -- feeding ---------------------------------------------------------------------------------

    async def _feed(self, workers: list["asyncio.Task[None]"]) -> None:
        """Leases ahead by about a second of work, then lets the window run empty."""
        slice_ends = self.started + self.slice_s
        while not self.drain:
            if time.monotonic() > slice_ends:
                if await self._db(leases.others_want_a_pump, self.plan.run_id):
                    break
                slice_ends = time.monotonic() + self.slice_s
            wanted = self._look_ahead() - self.queue.qsize()
            claimed = await self._claim(wanted) if wanted > 0 else []
            if wanted > 0 and not claimed and await self._nothing_left():
                break
            await self._pause(0.02 if claimed else 0.5)
        for _ in workers:
            self.queue.put_nowait(None)
        for worker in self.at_gate:  # its door may stay closed for hours
            worker.cancel()
        await asyncio.gather(*workers)

    def _look_ahead(self) -> int:
        """Enough for the free workers, and for a second at the present pace."""
        elapsed = time.monotonic() - self.started
        pace = self.completed / elapsed if elapsed > 0.5 else self.workers
        free = self.workers - len(self.in_hand) + self.queue.qsize()
        return max(free, min(1000, int(pace * LOOK_AHEAD_S)), 1)

    async def _claim(self, count: int) -> list[Claimed]:
        claimed, work = await self._db(self._claim_and_load, count)
        self.exhausted = len(claimed) < count
        for each in work:
            self.in_hand[each.trial.id] = each.trial
            self.queue.put_nowait(each)
        return claimed

    def _claim_and_load(self, count: int) -> tuple[list[Claimed], list[Work]]:
        claimed = leases.claim(self.plan.run_id, self.shared.owner, count, self.plan.calls)
        return claimed, load_work(self.plan, claimed) if claimed else []

    async def _nothing_left(self) -> bool:
        """Nothing to lease: whether nothing is in hand either, and no retry is due within this slice."""
        if self.in_hand or self.outcomes:
            return False
        due_ms = await self._db(leases.next_due_ms, self.plan.run_id)
        if due_ms is None:
            return True
        await self._pause(min(1.0, due_ms / 1000 + 0.01))
        return False

    async def _pause(self, seconds: float) -> None:
        """Sleeps, or until a worker has room."""
        self.wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), seconds)

    # -- working ---------------------------------------------------------------------------------

    async def _work(self) -> None:
        while (work := await self.queue.get()) is not None:
            if self.drain:
                self.queue.put_nowait(work)  # _settle gives it back
                return
            try:
                self._finished(await self._attempt(work))
            except NotSent:
                self.queue.put_nowait(work)  # _settle gives it back
                return
            except CannotRun as stop:
                self.reason, self.drain = self.reason or str(stop), True
                self._finished(
                    Outcome(work.trial, "pending", "refused", counts=False, attempt_error=str(stop))
                )
            except Exception as error:  # one item's surprise must not stop the others
                logger.exception("run %s, item %s", self.plan.run_id, work.trial.seq)
                self._finished(
                    Outcome(work.trial, "errored", "internal", error_kind="internal", error=repr(error))
                )
            if self.queue.qsize() < self.workers // 4 + 1:
                self.wake.set()

    async def _attempt(self, work: Work) -> Outcome:
        plan = self.plan
        if plan.endpoint is None:
            await asyncio.sleep(0)  # scoring never waits, so let others have the loop
            return await attempt(plan, work, self.shared.client, None)
        gate = self.shared.gates.gate(
            plan.endpoint.provider_id or 0, plan.provider_limit, plan.requests_per_minute
        )
        async with contextlib.AsyncExitStack() as held:
            await self._enter(gate, held)
            outcome = await attempt(plan, work, self.shared.client, self._shown(work))
        if outcome.attempt_outcome == "rate_limited":
            gate.refused(outcome.retry_after_ms)
        elif outcome.state == "done":
            gate.answered()
        return outcome

    async def _enter(self, gate: Gate, held: contextlib.AsyncExitStack) -> None:
        """Waits for a place at the provider. Raises NotSent when the slice ends meanwhile."""
        worker = cast("asyncio.Task[None]", asyncio.current_task())
        self.at_gate.add(worker)
        try:
            await held.enter_async_context(gate.place(self.plan.run_id))
        except asyncio.CancelledError:
            raise NotSent from None
        finally:
            self.at_gate.discard(worker)

    def _finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.completed += 1
        if outcome.attempt_outcome == "connection" and not self.reached:
            self._not_reached(outcome)
        else:
            self.reached = True
        if self.glimpse and self.glimpse.trial_id == outcome.trial.id:
            self.glimpse_changed = True

    def _not_reached(self, outcome: Outcome) -> None:
        """A run whose endpoint has never answered waits for a person, before every item is tried in vain."""
        self.unreached += 1
        if self.unreached >= NEVER_REACHED and not self.reason:
            self.drain, self.reason = (
                True,
                (
                    f"{self.plan.provider} has not answered a single call ({outcome.error.rstrip('.')}). "
                    "Check its address and that it runs, then resume."
                ),
            )
            self.wake.set()

    def _shown(self, work: Work) -> Callable[[str], None] | None:
        """Makes this the item that the card shows, unless one is shown that is still in flight."""
        if self.glimpse and self.glimpse.trial_id in self.in_hand:
            return None
        shown = Glimpse(work.trial.id, work.trial.seq, work.trial.item_id, work.prompt[:600])
        self.glimpse, self.glimpse_changed = shown, True
        pieces: list[str] = []

        def on_text(piece: str) -> None:
            pieces.append(piece)
            if self.glimpse and self.glimpse.trial_id == shown.trial_id:
                text = "".join(pieces)[-1500:]
                self.glimpse = Glimpse(shown.trial_id, shown.seq, shown.item_id, shown.prompt, text)
                self.glimpse_changed = True

        return on_text

    # -- recording -------------------------------------------------------------------------------

    async def _record_forever(self) -> None:
        while not self.closing:
            await asyncio.sleep(RECORD_EVERY_S)
            while self.outcomes:
                await self._record()
            await self._show()
            if time.monotonic() > self.summary_due:
                await self._summarise()

    async def _record(self) -> None:
        batch = self.outcomes[:RECORD_MOST]
        lines = self.progress.lines(batch)
        state = await self._db(recording.record, self.plan.run_id, batch, self.plan.calls, lines)
        del self.outcomes[: len(batch)]
        for outcome in batch:
            self.in_hand.pop(outcome.trial.id, None)
        if state.status != RunStatus.RUNNING:
            self.drain = True
            self.wake.set()
        await live.announce(self.plan.workspace_id, self.plan.run_id, state.sequence)
        if self.on_record:
            self.on_record(state)

    async def _show(self) -> None:
        now = time.monotonic()
        if self.glimpse and self.glimpse_changed and now - getattr(self, "_shown_at", 0.0) > GLIMPSE_EVERY_S:
            self._shown_at, self.glimpse_changed = now, False
            await self._db(show_glimpse, self.plan.run_id, self.glimpse)
            await live.announce(self.plan.workspace_id, self.plan.run_id, -1)

    async def _summarise(self) -> None:
        """Every two seconds, or more seldom when it takes longer than its share of the time."""
        began = time.monotonic()
        if self.plan.calls:
            await self._db(summary.summarise, self.plan.run_id)
        took = time.monotonic() - began
        self.summary_due = time.monotonic() + max(2.0, took / SUMMARY_SHARE)

    # -- keeping ---------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Renews the leases; ends the slice at once when the run was canceled, or the leases are lost."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            status = await self._db(leases.renew, self.plan.run_id, self.shared.owner)
            late = time.monotonic() - self.renewed > LOST_AFTER_S + KEEP_EVERY_S
            self.renewed = time.monotonic()
            if late or status in (RunStatus.CANCELED, RunStatus.COMPLETED, RunStatus.FAILED, ""):
                return
            if status == RunStatus.PAUSED:
                self.drain = True
                self.wake.set()

    async def _settle(self) -> None:
        """Whatever ended the slice: records what is known, gives back what was never sent, frees the run."""
        unsent: list[Claimed] = []
        while not self.queue.empty():
            work = self.queue.get_nowait()
            if work is not None:
                unsent.append(work.trial)
        known = {outcome.trial.id for outcome in self.outcomes} | {trial.id for trial in unsent}
        for trial in self.in_hand.values():
            if trial.id not in known:
                self.outcomes.append(
                    Outcome(
                        trial,
                        "pending",
                        "aborted",
                        counts=False,
                        attempt_error="Stopped while it was in flight.",
                    )
                )
        while self.outcomes:
            await self._record()
        await self._db(leases.give_back, self.plan.run_id, unsent, self.plan.calls)
        if self.reason:
            await self._db(leases.pause, self.plan.run_id, self.reason)
        if self.plan.calls:
            await self._db(summary.summarise, self.plan.run_id)

    async def _db(self, function: Callable[..., T], *args: object) -> T:
        return await self.shared.database.run(function, *args)
