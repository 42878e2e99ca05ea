"""One slice of one run: a sliding window of K calls in flight, fed by leases, drained into batched records.

Three kinds of coroutine share the slice: the feeder leases trials before the queue runs dry, K
workers attempt them one by one, and the recorder writes what came of it. A keeper renews the leases,
reads pause and cancel, and shares K with the other processes that execute the run.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

from django.conf import settings

from registry.client import Client
from runs.engine import claiming, disk, leases
from runs.engine.attempts import attempt, settled_outcome
from runs.engine.canceling import canceled
from runs.engine.circuit import OPENS_AFTER
from runs.engine.database import DatabaseThread
from runs.engine.gates import TOGETHER, Gate, Gates
from runs.engine.journal import Journal
from runs.engine.leases import Claimed
from runs.engine.outcomes import Outcome
from runs.engine.parts import Part
from runs.engine.plan import CannotRun, Plan, Work, load_plan
from runs.engine.recorder import Recorder
from runs.engine.recording import Recorded
from runs.engine.showing import Showing
from runs.models import RunStatus

LOOK_EVERY_S, LOOK_SOON_S = 1.0, 0.1
STARTING_S = 0.5  # another process may start with this one, and waits for its share of the calls
RENEW_EVERY_S = settings.ENGINE_LEASE_S / 4
LINGER_S = 5.0  # a judging that has judged all that is there waits for more
LOST_AFTER_S = settings.ENGINE_LEASE_S * 3 / 4
LOOK_AHEAD_S = 0.5
LOOK_AHEAD_FEW, LOOK_AHEAD_MOST = 128, 1_000
LAST_ROUND = 2  # rounds of calls: those in flight, and what has no place yet
NEAR_END = 4  # rounds of calls: those in flight and in the queues are two
BEHIND_MOST = 2_000  # answers that wait to be scored and recorded
CLAIM_MOST = 250  # trials at a time, so that the first go out while the next are prepared
AFTER_CANCEL_S = 60.0  # that answers in flight, which are paid for, are waited for
NEVER_REACHED = OPENS_AFTER  # failed connections before the first answer of any kind
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
    journal: Journal
    owner: str
    wake: Callable[[Sequence[int]], None] = lambda judgings: None  # that have something to judge


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
        self.in_hand: dict[int, Claimed] = {}
        self.begun: set[int] = set()
        self.workers: set[asyncio.Task[None]] = set()
        self.at_gate: set[asyncio.Task[None]] = set()
        self.busy = 0
        self.part = Part(self.shared.database, self.plan, self.shared.owner)
        self.idled = False  # for a whole pause
        self.wake = asyncio.Event()
        self.drain = self.dry = self.told = False
        self.abort_at = float("inf")
        self.reason = ""
        self.completed = 0
        self.reached = False
        self.unreached = 0
        self.renewed = self.claimed_at = time.monotonic()
        judged = self.plan.judge.judged_id if self.plan.judge else None
        self.showing = Showing(self.shared.database, self.plan.workspace_id, self.plan.run_id, judged)
        self.recorder = Recorder(
            self.shared.database, self.plan, self.showing, self._recorded, self._disk_full
        )
        self.gate = self._gate()

    def _gate(self) -> Gate | None:
        endpoint = self.plan.endpoint
        return self.shared.gates.gate(endpoint.provider_id or 0, self.plan.limits) if endpoint else None

    async def run(self) -> None:
        """Until nothing is left, the slice is over and others wait, or the run is paused or canceled."""
        if not await self._look():
            return
        await self._ask_for_places()
        recorder = asyncio.create_task(self.recorder.run())
        keeper = asyncio.create_task(self._keep())
        window = asyncio.create_task(self._feed())
        try:
            await asyncio.wait({window, keeper, recorder}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.recorder.close()
            await canceled(window, keeper)
            await canceled(*self.workers)
            results = await asyncio.gather(window, keeper, recorder, *self.workers, return_exceptions=True)
            await self._settle()
        for error in (result for result in results if isinstance(result, Exception)):
            raise error

    @property
    def is_held(self) -> bool:
        """Whether its provider lets no call through now, though it has places, or nothing of it is due."""
        gate, idle = self.gate, self.completed > 0 and not self.in_hand
        paced = gate and self.at_gate and gate.in_flight < gate.width
        return bool((gate and gate.held()) or (not self.begun and (paced or idle)))

    def stop(self, reason: str = "", within_s: float = float("inf")) -> None:
        """Sends nothing more; calls in flight may end, for so many seconds. A reason pauses the run."""
        self.reason, self.drain = self.reason or reason, True
        self.abort_at = min(self.abort_at, time.monotonic() + within_s)
        self.wake.set()

    # -- feeding ---------------------------------------------------------------------------------

    async def _feed(self) -> None:
        """Leases ahead of the work, then lets the window run empty."""
        slice_ends = self.started + self.slice_s
        while not self._must_not_send():
            if time.monotonic() > slice_ends:
                if await self._db(leases.others_want_a_pump, self.plan.run_id):
                    break
                slice_ends = time.monotonic() + self.slice_s
            wanted = await self._wanted_now()
            try:
                await self.part.take(self.busy, self.queue.qsize() + wanted)
                self._staff()
                wanted = min(wanted, self._wanted())
                claimed = await self._claim(wanted) if wanted else 0
            except disk.DiskFull:
                self._disk_full()
                break
            if wanted and not claimed and await self._nothing_left():
                break
            self.dry = claimed < wanted  # then room in the window is no reason to ask again
            if self.dry or not wanted:
                await self._pause(0.5)
        for _ in self.workers:
            self.queue.put_nowait(None)
        for worker in self.at_gate:  # its door may stay closed for hours
            worker.cancel()
        await self._let_end()

    async def _let_end(self) -> None:
        """Calls may be out for long after the slice, or after a pause that is over by then."""
        while working := [worker for worker in self.workers if not worker.done()]:
            with suppress(disk.DiskFull):
                await self.part.give(len(working))
            await asyncio.wait(working, timeout=LOOK_SOON_S)
            if self.drain:
                await self._give_back()
        await asyncio.gather(*self.workers)

    async def _give_back(self) -> None:
        """What will not be sent, so that others need not wait for it until the calls in flight have ended."""
        known = {outcome.trial.id for outcome in self.recorder.outcomes} | self.begun
        unsent = {trial_id: trial for trial_id, trial in self.in_hand.items() if trial_id not in known}
        if not unsent:
            return
        for trial_id in unsent:
            del self.in_hand[trial_id]
        try:
            await self._db(leases.give_back, self.plan.run_id, [*unsent.values()], self.plan.calls)
        except disk.DiskFull:
            self.in_hand |= unsent

    def _staff(self) -> None:
        """As many workers as this process may have calls of the run in flight."""
        self.workers = {worker for worker in self.workers if not worker.done()}
        for _ in range(min(self.part.width, self.plan.total) - len(self.workers)):
            self.workers.add(asyncio.create_task(self._work()))

    def _ahead(self) -> int:
        """Enough for all workers should they end together, and for half a second at the present pace; of few
        for two seconds, since a claim costs more than its rows."""
        pace = self.completed / max(1.0, time.monotonic() - self.started)
        few = min(LOOK_AHEAD_FEW, int(2 * pace))
        return max(1, min(LOOK_AHEAD_MOST, max(self.part.share, int(pace * LOOK_AHEAD_S), few)))

    def _wanted(self) -> int:
        """How many to lease now."""
        return max(0, min(CLAIM_MOST, self._missing(), self._room()))

    async def _wanted_now(self) -> int:
        """Near the run's end by what the other processes have recorded as well."""
        if self.part.pumps > 1 and self.part.left < NEAR_END * self.plan.concurrency and self._missing():
            await self.part.look()
        return self._wanted()

    def _missing(self) -> int:
        """In the queue: none while so few are missing that the round trip is not worth it, or while scoring
        and recording are behind."""
        if not self.part.share or len(self.recorder.outcomes) > max(BEHIND_MOST, 2 * self.part.share):
            return 0
        idle, ahead = max(0, self.part.share - self.busy), self._ahead()
        missing = idle + ahead - self.queue.qsize()
        return 0 if 2 * missing < min(ahead, CLAIM_MOST) else missing

    def _room(self) -> int:
        """Of the run's last items a process holds no more than its part, of the very last none that it cannot
        send now: else it ends with a queue while others have nothing left to do. Unless nobody else takes
        them, and of a judging, which grows."""
        if self.part.pumps == 1 or self.plan.judge:
            return CLAIM_MOST
        if self.idled or self.part.left < LAST_ROUND * self.plan.concurrency:
            return self.part.share - self.busy - self.queue.qsize()
        return max(1, -(-self.part.left // self.part.pumps)) - len(self.in_hand)

    async def _claim(self, count: int) -> int:
        plan = self.plan
        suspects = max(8, plan.concurrency // 4)
        claimed = await self._db(leases.claim, plan.run_id, self.shared.owner, count, plan.calls, suspects)
        if not claimed:
            return 0
        self.claimed_at = time.monotonic()
        for trial in claimed:
            self.in_hand[trial.id] = trial
        claims = await self._db(claiming.prepare, plan, claimed)
        kept = {work.trial.id for work in claims.work}
        for trial in claimed:
            if trial.id not in kept:
                del self.in_hand[trial.id]
        for number, work in enumerate(claims.work, 1):
            self.queue.put_nowait(work)
            if number % TOGETHER == 0 and not self.completed and self._alone():
                await asyncio.sleep(0)
        if claims.reason:
            self.stop(claims.reason)
        elif claims.held_back:
            await self._pause(0.5)
        return len(claims.work)

    def _alone(self) -> bool:
        """Whether the process has no other run's calls in flight: a busy loop's turns are long."""
        return self.shared.gates.in_flight() <= self.busy

    async def _nothing_left(self) -> bool:
        """Nothing to lease: whether nothing is in hand either, and nothing waits for its time."""
        if self.in_hand or self.recorder.outcomes:
            return False
        if await self._db(leases.left_to_claim, self.plan.run_id):
            return False
        late = self.plan.judge is None or time.monotonic() - self.claimed_at > LINGER_S
        return late or not await self._db(leases.awaits_responses, self.plan.run_id)

    async def _pause(self, seconds: float) -> None:
        """Sleeps, or until a worker has room."""
        self.wake.clear()
        self.idled = False
        try:
            await asyncio.wait_for(self.wake.wait(), seconds)
        except TimeoutError:
            self.idled = self.queue.empty() and self.busy < self.part.share

    # -- working ---------------------------------------------------------------------------------

    async def _work(self) -> None:
        while (work := await self.queue.get()) is not None:
            if self._must_not_send():
                return  # _settle gives it back
            if self.busy >= self.part.width:  # another process has joined
                self.queue.put_nowait(work)
                self.wake.set()
                return
            self.busy += 1
            try:
                await self._attend(work)
            except NotSent:
                return
            finally:
                self.busy -= 1
            if not self.dry and self._wanted():
                self.wake.set()

    def _must_not_send(self) -> bool:
        """After a pause, or once the leases may have run out: then others have the items by now. The slice
        ends, and gives back what workers leave of the queue."""
        self.drain = self.drain or time.monotonic() - self.renewed > LOST_AFTER_S
        return self.drain

    async def _attend(self, work: Work) -> None:
        try:
            self._finished(await self._attempt(work))
        except NotSent:
            raise
        except Exception as error:  # one item's surprise must not stop the others
            logger.exception("run %s, item %s", self.plan.run_id, work.trial.seq)
            self._finished(
                Outcome(work.trial, "errored", "internal", error_kind="internal", error=repr(error))
            )

    async def _attempt(self, work: Work) -> Outcome:
        gate = self.gate
        if gate is None or not work.asks:
            await asyncio.sleep(0)  # nothing here waits, so let others have the loop
            self._begin(work.trial)
            return settled_outcome(self.plan, work)
        outcome = await self._call(gate, work)
        known = not outcome.usage_estimated
        used = (outcome.input_tokens or 0) + (outcome.output_tokens or 0) if known else 0
        wait_ms = None if outcome.stops_run else outcome.retry_after_ms  # resuming it is a person's word
        gate.learned(outcome.attempt_outcome, wait_ms, used or None, work.tokens, outcome.began)
        return outcome

    def _begin(self, trial: Claimed) -> None:
        self.begun.add(trial.id)
        self.shared.journal.begin(trial.id, trial.fence)

    def _end(self, trial: Claimed) -> None:
        if trial.id in self.begun:
            self.begun.discard(trial.id)
            self.shared.journal.end(trial.id)

    async def _call(self, gate: Gate, work: Work) -> Outcome:
        """Once the provider has a place for it. Raises NotSent when the slice ends before."""
        worker = cast("asyncio.Task[None]", asyncio.current_task())
        self.at_gate.add(worker)
        try:
            async with gate.place(self.plan.run_id, work.tokens):
                self.at_gate.discard(worker)
                if self._must_not_send():
                    raise NotSent
                self._begin(work.trial)
                on_text, began = self.showing.begin(work, self.in_hand.get), time.monotonic()
                outcome = await attempt(self.plan, work, self.shared.client, on_text)
                outcome.began = began
                return outcome
        except asyncio.CancelledError:
            if worker in self.at_gate:
                raise NotSent from None
            raise
        finally:
            self.at_gate.discard(worker)

    def _finished(self, outcome: Outcome) -> None:
        self.recorder.outcomes.append(outcome)
        if len(self.recorder.outcomes) == len(self.in_hand):  # nothing more to come for now
            self.recorder.hurry()
        self.completed += 1
        if outcome.attempt_outcome == "connection" and not self.reached:
            self._not_reached(outcome)
        elif outcome.sent:
            self.reached = True
        if outcome.stops_run:
            self.stop(outcome.stops_run)
        self.showing.ended(outcome.trial.id)

    def _not_reached(self, outcome: Outcome) -> None:
        """A run whose endpoint has never answered waits for a person, before every item is tried in vain."""
        self.unreached += 1
        if self.unreached >= NEVER_REACHED and not self.reason:
            self.stop(
                f"{self.plan.provider} has not answered a single call ({outcome.error.rstrip('.')}). "
                "Check its address and that it runs, then resume."
            )

    def _recorded(self, batch: list[Outcome], state: Recorded) -> None:
        for outcome in batch:
            self.in_hand.pop(outcome.trial.id, None)
            self._end(outcome.trial)
        self.part.left = state.left
        if not self.in_hand or (not self.dry and self._wanted()):
            self.wake.set()  # the last of the run, perhaps
        self._obey(state.status)
        if state.judgings:
            self.shared.wake(state.judgings)
        if self.on_record:
            self.on_record(state)

    def _disk_full(self) -> None:
        self.stop(disk.shortage() or disk.FULL)

    # -- keeping ---------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Looks after the leases and the run's wishes; ends the slice at once when the leases are lost."""
        share = self.part.share
        while True:
            short = bool(self.gate and self.gate.short)
            starting = time.monotonic() < self.started + STARTING_S
            soon = short or starting or self.part.grows_soon
            await asyncio.sleep(LOOK_SOON_S if soon else LOOK_EVERY_S)
            now = time.monotonic()
            if now - self.renewed > LOST_AFTER_S or now > self.abort_at:
                return
            if now - self.renewed >= RENEW_EVERY_S - LOOK_EVERY_S / 2:
                try:
                    await self._renew(now)
                except disk.DiskFull:  # then nobody else can take the leases either
                    self.renewed = now
                    self._disk_full()
            with suppress(disk.DiskFull):
                await self._tell_why()
            if not await self._look():
                return
            grew, fewer = self.part.share > share, self.part.share < self.plan.concurrency
            share = self.part.share
            if short or grew or (starting and fewer):  # others need what this one holds
                await self._ask_for_places()
            await self.showing.show_hold(self.gate.held() if self.gate else None)

    async def _look(self) -> bool:
        """What the run wants, and this process's share of its calls in flight; False when it is gone."""
        share, status = self.part.share, await self.part.look()
        if status:
            self._obey(status)
            if self.part.share != share:
                self.wake.set()
        return bool(status)

    async def _ask_for_places(self) -> None:
        """At the provider, for this process's share of the run's calls: also for those yet to come."""
        if not (self.gate and self.part.share):
            return
        self.gate.expect(self.plan.run_id, self._to_come())
        if self.part.share < self.plan.concurrency:
            self.gate.stand_still()
        # A sync that is cut short would leave others with what this process does not obey.
        await asyncio.shield(self.shared.gates.sync(self.shared.database, counts=False))

    def _to_come(self) -> int:
        """Calls that will want a place soon, besides those that have one or wait for it."""
        if self.drain or self.dry:
            return 0
        progress = self.recorder.progress
        left = 1 if self.plan.judge else progress.total - progress.done
        return max(0, min(self.part.share, left) - self.busy)

    async def _renew(self, now: float) -> None:
        """Leases go on; a key, a limit or a price that someone changed counts from now on."""
        if not await self._db(leases.renew, self.plan.run_id, self.shared.owner):
            self.stop()  # others count on its having nothing in flight
        self.renewed = now
        if short := disk.shortage():
            self.stop(short)
        try:
            plan = await self._db(load_plan, self.plan.run_id)
        except CannotRun as stop:
            self.stop(str(stop))
            return
        same = plan.endpoint == self.plan.endpoint
        self.plan = replace(plan, endpoint=self.plan.endpoint if same else plan.endpoint)
        self.gate = self._gate()

    def _obey(self, status: str) -> None:
        if status in (RunStatus.PAUSED, RunStatus.PENDING):  # or resumed before the last calls have ended
            self.told = True  # what is met from now on is no reason to pause it again
            self.stop()
        elif status != RunStatus.RUNNING:
            self.stop(within_s=AFTER_CANCEL_S)

    async def _settle(self) -> None:
        """Whatever ended the slice: records what is known, gives back what was never sent, frees the run."""
        known = {outcome.trial.id for outcome in self.recorder.outcomes}
        left = [trial for trial in self.in_hand.values() if trial.id not in known]
        words = "Stopped while it was in flight."
        self.recorder.outcomes += [
            Outcome(trial, "pending", "aborted", counts=False, attempt_error=words)
            for trial in left
            if trial.id in self.begun
        ]
        await self.recorder.flush()
        unsent = [trial for trial in left if trial.id not in self.begun]
        await self._db(leases.give_back, self.plan.run_id, unsent, self.plan.calls)
        await self._tell_why()
        await self.showing.forget_hold()

    async def _tell_why(self) -> None:
        """Pauses the run while calls in flight still end; once, since somebody may resume it meanwhile."""
        if self.reason and not self.told:
            await self._db(leases.pause, self.plan.run_id, self.reason)
            self.told = True

    async def _db(self, function: Callable[..., T], *args: object) -> T:
        return await self.shared.database.run(function, *args)
