"""Who may call a provider now: places, turns, paces, pauses, and a circuit that opens when it fails.

A process has one gate per provider. What the gates of all processes must agree on (shares of the limits,
pauses, the circuit) goes through the database once a second; see `runs.engine.sharing`.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from math import inf

from django.db import DatabaseError, InterfaceError

from runs.engine import sharing
from runs.engine.circuit import FAILING, NO_WORD_OF_IT, OPENS_AFTER, Circuit, open_s
from runs.engine.database import DatabaseThread
from runs.engine.disk import DiskFull
from runs.engine.pace import Bucket
from runs.engine.sharing import News, Orders, Report

LAPSES_AFTER_S = 4.0  # a share that no sync has renewed
FORGETS_AFTER_S = 60.0  # what 429 has taught: providers count by the minute
IDLE_SYNCS = 2  # a share is given up after so many without a call
TELLING = 16  # refused with fewer in flight, a provider says little of how many it bears
KEPT_WHILE_ABOVE = 0.6  # of what was wanted before, so that shares do not flap
TOGETHER = 4  # calls that begin in one turn of the loop, so that they go out before the next connect
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """A provider's own, over all processes. None: no such limit."""

    concurrency: int
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Nobody goes through for so long, and why, in words for people."""

    for_ms: int
    reason: str


class Gate:
    """One provider's door in one process. Runs that share the provider take turns at it, one place each,
    however many of their calls queue here: a small run beside a large one gets its share at once."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.share = limits.concurrency  # this process's, by what all want
        self.ceiling = limits.concurrency  # of those, the places that it has now
        self.part = 1.0  # of its share, what the provider bears
        self.width = limits.concurrency
        self.rate_share = 1.0
        self.in_flight = self.queued = self.peak = self.wanted = 0
        self.ordered = False  # whether a sync has said what this process's share is
        self.owed = False  # whether others still hold places of that share
        self.listed = False
        self.synced_at = 0.0
        self.called_at = time.monotonic()
        self.idle = 0
        self.circuit = Circuit()
        self.news = News()
        self._closed_until = 0.0
        self._halved_at = 0.0
        self._lines: dict[int, OrderedDict[asyncio.Future[bool], int]] = {}  # by run; the first one is next
        self._expected: dict[int, int] = {}  # by run, since the last count
        self._timer: asyncio.TimerHandle | None = None
        self._admission_due = False
        self._requests: Bucket | None = None
        self._tokens: Bucket | None = None
        self._plain = False
        self._set_paces()

    # -- coming and going ------------------------------------------------------------------------

    def place(self, run_id: int, tokens: int = 0) -> AbstractAsyncContextManager[None]:
        """Held while a call of about so many tokens is in flight."""
        return Place(self, run_id, tokens)

    def expect(self, run_id: int, calls: int) -> None:
        """So many of a run are about to come: the next sync asks for places for them."""
        self._expected[run_id] = calls
        self.peak = max(self.peak, self.desired)

    @property
    def desired(self) -> int:
        """Calls that are here and those that are about to come."""
        return self.in_flight + self.queued + sum(self._expected.values())

    @property
    def short(self) -> bool:
        """Whether calls wait here for places that a sync may bring."""
        more = self.ceiling < self.share and self.in_flight < self.limit
        return self.owed or (more and self.queued > 0 and self.in_flight >= self.ceiling)

    def stand_still(self) -> None:
        """No more calls in flight than now, until a sync has said how many: others count on what it tells."""
        self.width = min(self.width, max(1, self.in_flight + self.queued))

    def enter(self, tokens: int) -> None:
        self.in_flight += 1
        if self.in_flight > self.peak:
            self.peak = self.in_flight
        if not self._plain:
            self._pay(1, tokens)

    def leave(self) -> None:
        self.in_flight -= 1
        self.called_at = time.monotonic()
        if self.circuit.sent and self.circuit.is_probe():
            self.circuit.ended()
        if self._lines:
            self._admit_soon()

    def goes_at_once(self, tokens: int) -> bool:
        return (
            not self._lines
            and self.in_flight < self.width
            and (self._plain or (not self.circuit.open_until and self._wait_s(tokens) <= 0))
        )

    async def turn(self, run_id: int, tokens: int) -> None:
        """Waits in the run's line until the call may go out."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(run_id, OrderedDict())[turn] = tokens
        self.queued += 1
        self.peak = max(self.peak, self.in_flight + self.queued)
        self._admit()
        try:
            probes = await turn
        except asyncio.CancelledError:
            self._withdraw(run_id, turn, tokens)
            raise
        if probes and self.circuit.sent:
            self.circuit.probe = asyncio.current_task()

    def _withdraw(self, run_id: int, turn: "asyncio.Future[bool]", tokens: int) -> None:
        if not turn.cancelled():  # its turn had come already: the place goes to the next
            self.in_flight -= 1
            self._pay(-1, -tokens)
            if turn.result():
                self.circuit.ended()
        elif (line := self._lines.get(run_id)) and turn in line:
            self.queued -= 1
            del line[turn]
            if not line:
                del self._lines[run_id]
        self._admit_soon()

    def _pay(self, requests: int, tokens: int) -> None:
        if self._requests is not None:
            self._requests.take(requests)
        if self._tokens is not None:
            self._tokens.take(tokens)

    def _admit_soon(self) -> None:
        """In the loop's next round: what the call that just ended has taught is known by then."""
        if self._lines and not self._admission_due:
            self._admission_due = True
            asyncio.get_running_loop().call_soon(self._admit)

    def _admit(self) -> None:
        self._admission_due = False
        for _ in range(TOGETHER):
            if not self._lines or self.in_flight >= self.width:
                return
            line = next(iter(self._lines.values()))
            turn, tokens = next(iter(line.items()))
            wait_s = 0.0 if turn.done() else self._wait_s(tokens)
            if wait_s > 0:
                self._wake_in(wait_s)
                return
            self._call(turn, tokens)
        self._admit_soon()

    def _call(self, turn: "asyncio.Future[bool]", tokens: int) -> None:
        """The first of the first line; its run goes behind the others."""
        run_id, line = next(iter(self._lines.items()))
        del line[turn], self._lines[run_id]
        if line:
            self._lines[run_id] = line
        self.queued -= 1
        if not turn.done():  # else canceled a moment ago
            self.enter(tokens)
            turn.set_result(self.circuit.passes())

    def _wait_s(self, tokens: int) -> float:
        if self._plain:
            return 0.0
        now = time.monotonic()
        wait_s = max(self._closed_until - now, self.circuit.wait_s(now))
        if wait_s > 0:
            return wait_s
        if self._requests is not None:
            wait_s = self._requests.wait_s(1, now)
        if self._tokens is not None:
            wait_s = max(wait_s, self._tokens.wait_s(tokens, now))
        self._see_if_plain(now)
        return wait_s

    def _wake_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds == inf else asyncio.get_running_loop().call_later(seconds, self._admit)

    def _see_if_plain(self, now: float) -> None:
        """Whether nothing but the number of places restrains calls."""
        paced = self._requests is not None or self._tokens is not None
        self._plain = not (paced or self._closed_until > now or self.circuit.open_until)

    # -- what calls teach ------------------------------------------------------------------------

    def learned(
        self,
        kind: str,
        retry_after_ms: int | None = None,
        tokens: int | None = None,
        reserved: int = 0,
        began: float = 0.0,
    ) -> None:
        """After each call: "ok" or the kind of CallFailed; the tokens it really used, of those reserved; when
        it began by the monotonic clock, 0 if not known."""
        if tokens is not None and self._tokens is not None:
            self._tokens.take(tokens - reserved)
        if kind in FAILING:
            self._failed(kind)
        elif kind not in NO_WORD_OF_IT:
            self.news.answered = True
            if self.circuit.failures:
                self._answered()
        if kind == "ok":
            if self.part < 1:
                self._bears(self.part + 1 / (self.limit * max(1, self.share)))
            return
        if kind == "rate_limited":
            self._halve(began)
        if retry_after_ms:
            self._close(time.monotonic() + retry_after_ms / 1000)
            self.news.closed_until = max(self.news.closed_until, self._closed_until)

    def _answered(self) -> None:
        circuit = self.circuit
        if not circuit.open_until:
            circuit.failures = self.news.failed = 0
        elif circuit.is_probe():
            self.news.verdict, self.news.opened_until = "ok", 0.0
            circuit.close()
            self._see_if_plain(time.monotonic())
            self._admit_soon()

    def _failed(self, kind: str) -> None:
        circuit = self.circuit
        if circuit.open_until:
            if circuit.is_probe():
                self.news.verdict = "failed"
                self._open(circuit.failures + 1, kind)
            return
        circuit.failures += 1
        self.news.failed += 1
        if circuit.failures >= OPENS_AFTER:
            self._open(circuit.failures, kind)

    def _open(self, failures: int, kind: str) -> None:
        reason = f"{failures} calls in a row failed ({FAILING[kind]})"
        self.circuit.open(failures, open_s(failures), reason)
        self.news.opened_until, self.news.reason = self.circuit.open_until, reason
        self._plain = False
        self._admit_soon()

    def _halve(self, began: float) -> None:
        """From what is in use, where it tells something. Refusals within a second are one, and so are those
        of calls that went out before."""
        now = time.monotonic()
        if now - self._halved_at > 1.0 and not 0 < began < self._halved_at:
            self._halved_at = now
            used, share = self.in_flight + 1, max(1, self.share)
            part = min(self.part, used / share) if used >= TELLING else self.part
            self._bears(min(self.part, max(part / 2, 1 / share)))

    def _close(self, until: float) -> None:
        self._closed_until = max(self._closed_until, until)
        self._plain = False

    @property
    def limit(self) -> float:
        """Calls in flight that the provider bears; grows by one for each full round of good answers."""
        return max(1.0, self.share * self.part)

    def _bears(self, part: float) -> None:
        self.part = min(1.0, part)
        self._set_width()

    def forget(self) -> None:
        """What refusals have taught."""
        if self.part < 1:
            self._bears(1.0)

    def _set_width(self) -> None:
        self.width = min(int(self.limit + 1e-9), self.ceiling)
        self._admit_soon()

    def held(self) -> Hold | None:
        """Why no call goes through now; None when it lets them pass."""
        now, circuit = time.monotonic(), self.circuit
        if self._closed_until > now and self._closed_until >= circuit.open_until:
            return Hold(round((self._closed_until - now) * 1000), sharing.ASKED)
        if not circuit.open_until:
            return None
        left_ms = max(0, round((circuit.open_until - now) * 1000))
        what = (
            "a probe is on its way"
            if circuit.granted or circuit.sent or not left_ms
            else "one probe goes out then"
        )
        return Hold(left_ms, f"{circuit.reason}; {what}")

    # -- limits and shares -----------------------------------------------------------------------

    def set_limits(self, limits: Limits) -> None:
        if limits == self.limits:
            return
        if limits.concurrency != self.limits.concurrency:
            alone = self.share >= self.limits.concurrency
            self.share = limits.concurrency if alone else min(self.share, limits.concurrency)
            self.ceiling = self.share if alone else min(self.ceiling, limits.concurrency)
            self._bears(1.0)
        self.limits = limits
        self._set_paces()

    def _set_paces(self, fresh: bool = False) -> None:
        now, limits = time.monotonic(), self.limits
        self._requests = self._paced(self._requests, limits.requests_per_minute, now, fresh)
        self._tokens = self._paced(self._tokens, limits.tokens_per_minute, now, fresh)
        self._see_if_plain(now)

    def _paced(self, bucket: Bucket | None, per_minute: int | None, now: float, fresh: bool) -> Bucket | None:
        if not per_minute:
            return None
        if bucket is None:
            return Bucket(per_minute * self.rate_share, 1.0, now)
        bucket.set_rate(per_minute * self.rate_share, now, fresh)
        return bucket

    def report(self, provider_id: int, counts: bool = True) -> Report | None:
        """What the others must know; None when there is nothing to say. Takes the news away.

        Once a second it `counts` what was wanted at most; in between what is wanted now is told, if known.
        """
        if counts:
            self._count()
        elif self._expected:
            self.wanted = self.peak = max(1, self.desired)
        if not self.wanted and not self.listed and self.news == News():
            return None
        news, self.news = self.news, News()
        return Report(
            provider_id=provider_id,
            concurrency=self.limits.concurrency,
            wanted=self.wanted,
            part=self.part,
            width=self.width,
            in_flight=self.in_flight,
            queued=self.queued,
            newcomer=not self.ordered,
            probing=self.circuit.sent or (self.circuit.granted and self.queued > 0),
            news=news,
            at=time.monotonic(),
        )

    def _count(self) -> None:
        self._expected.clear()
        peak, self.peak = self.peak, self.in_flight + self.queued
        self.idle = 0 if peak else self.idle + 1
        if self.idle > IDLE_SYNCS:
            self.wanted = 0
        elif peak > self.wanted or 0 < peak < self.wanted * KEPT_WHILE_ABOVE:
            self.wanted = peak
        if self.idle <= IDLE_SYNCS:
            self.wanted = max(1, self.wanted)

    def obey(self, orders: Orders) -> None:
        """What a sync says."""
        newcomer, self.ordered, self.listed = not self.ordered, True, self.wanted > 0
        self.share, self.ceiling, self.owed = orders.share, orders.places, orders.owed
        if newcomer:
            self.part = min(self.part, orders.throttle)
        self._set_width()
        if orders.rate_share != self.rate_share:
            self.rate_share = orders.rate_share
            self._set_paces(fresh=newcomer)
        now = self.synced_at = time.monotonic()
        if orders.closed_s > 0:
            self._close(now + orders.closed_s)
        self.circuit.shared = True
        if not (self.news.opened_until or self.news.verdict):  # else the database does not know of it yet
            self._obey_circuit(orders, now)
        self._see_if_plain(now)
        self._admit_soon()

    def _obey_circuit(self, orders: Orders, now: float) -> None:
        circuit = self.circuit
        if orders.open_s is None:
            if circuit.open_until:
                circuit.close()
            circuit.failures = (0 if self.news.answered else orders.failures) + self.news.failed
            return
        circuit.open_until, circuit.failures = now + orders.open_s, orders.failures
        circuit.reason = orders.reason
        if not orders.sends_probe:
            circuit.without_probe()
        elif not circuit.sent:
            circuit.granted = True

    def without_orders(self, news: News) -> None:
        """The sync failed, or nobody shares the provider: news is told again, the last orders stand."""
        self.news, self.owed = news.then(self.news), False
        self._set_width()


class Place:
    """A place at a gate, as a context."""

    __slots__ = ("gate", "run_id", "tokens")

    def __init__(self, gate: Gate, run_id: int, tokens: int):
        self.gate, self.run_id, self.tokens = gate, run_id, tokens

    async def __aenter__(self) -> None:
        gate = self.gate
        if gate.goes_at_once(self.tokens):
            gate.enter(self.tokens)
        else:
            await gate.turn(self.run_id, self.tokens)

    async def __aexit__(self, *exc: object) -> None:
        self.gate.leave()


class Gates:
    """The gates of one process by provider; `owner` is the name by which other processes know it."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._gates: dict[int, Gate] = {}
        self._syncing = asyncio.Lock()

    def gate(self, provider_id: int, limits: Limits) -> Gate:
        """Calls are about to come; changed limits apply at once."""
        gate = self._gates.get(provider_id)
        if gate is None:
            gate = self._gates[provider_id] = Gate(limits)
        gate.idle = 0
        now = time.monotonic()
        if gate.ordered and now - gate.synced_at > LAPSES_AFTER_S:
            gate.ordered = False
        if now - gate.called_at > FORGETS_AFTER_S and not gate.in_flight:
            gate.forget()
        gate.set_limits(limits)
        return gate

    def in_flight(self) -> int:
        return sum(gate.in_flight for gate in self._gates.values())

    async def sync(self, database: DatabaseThread, counts: bool = True) -> None:
        """Tells other processes what this one wants and has learned, and obeys what follows from theirs.

        Those that count come once a second: see `Gate.report`.
        """
        async with self._syncing:
            found = (gate.report(provider_id, counts) for provider_id, gate in self._gates.items())
            reports = [report for report in found if report is not None]
            if not reports:
                return
            try:
                orders = await database.run(sharing.exchange, self.owner, reports)
            except (DatabaseError, InterfaceError, DiskFull) as error:
                logger.warning("the last shares of the providers' limits stand: %s", error)
                for report in reports:
                    self._gates[report.provider_id].without_orders(report.news)
                return
            for report in reports:
                gate, order = self._gates[report.provider_id], orders.get(report.provider_id)
                gate.obey(order) if order else gate.without_orders(News())

    async def leave(self, database: DatabaseThread) -> None:
        """The process ends: its shares go to the others at once."""
        await database.run(sharing.leave, self.owner)
