"""Processes that share a provider: places, paces, pauses and the circuit go through the database.

Each process is a `Gates` of its own with a database thread of its own.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from registry.models import Provider
from runs.engine import circuit, sharing
from runs.engine.circuit import OPENS_AFTER
from runs.engine.clock import now_ms
from runs.engine.database import DatabaseThread
from runs.engine.disk import DiskFull
from runs.engine.gates import Gate, Gates, Limits
from runs.engine.sharing import Report, shares
from runs.models import ProviderDemand, ProviderHold

pytestmark = pytest.mark.django_db(transaction=True)


class Process:
    """One process's gates, with calls that wait for the test to end them."""

    def __init__(self, owner: str, provider_id: int):
        self.gates, self.database, self.provider_id = Gates(owner), DatabaseThread(), provider_id
        self.calls: set[asyncio.Task[None]] = set()
        self.finish = asyncio.Event()
        self.went: list[float] = []

    def gate(self, **limits: Any) -> Gate:
        return self.gates.gate(self.provider_id, Limits(**({"concurrency": 12} | limits)))

    async def sync(self, times: int = 1) -> None:
        for _ in range(times):
            await self.gates.sync(self.database)
        await asyncio.sleep(0.01)  # whoever may go, goes

    async def ask(self, gate: Gate, count: int, kind: str = "ok", for_s: float | None = None) -> None:
        """So many calls; each lasts until `finish`, or that long."""

        async def call() -> None:
            async with gate.place(1):
                self.went.append(time.monotonic())
                await (self.finish.wait() if for_s is None else asyncio.sleep(for_s))
            gate.learned(kind)

        self.calls |= {asyncio.create_task(call()) for _ in range(count)}
        await asyncio.sleep(0.01)

    async def fails(self, gate: Gate, times: int) -> None:
        for _ in range(times):
            async with gate.place(1):
                pass
            gate.learned("server_error")

    async def end(self) -> None:
        for call in self.calls:
            call.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        await asyncio.to_thread(self.database.close)


@pytest_asyncio.fixture
async def process(provider: Callable[..., Provider]) -> AsyncIterator[Callable[..., Process]]:
    """Makes processes that use one provider: `process("a")`."""
    made: list[Process] = []
    shared = await seen(provider)

    def make(owner: str) -> Process:
        made.append(Process(owner, shared.pk))
        return made[-1]

    yield make
    for each in made:
        await each.end()


async def seen(look: Callable[[], Any]) -> Any:
    """By a connection that does not outlive it."""
    database = DatabaseThread()
    try:
        return await database.run(look)
    finally:
        await asyncio.to_thread(database.close)


async def rows(model: Any) -> list[Any]:
    return list(await seen(lambda: list(model.objects.order_by("pk"))))


async def change(model: Any, **values: Any) -> None:
    await seen(lambda: model.objects.update(**values))


# Shares


@given(
    wanted=st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(1, 2000), min_size=1),
    places=st.integers(1, 300),
    turn=st.integers(0, 10**9),
)
def test_all_places_are_given_and_nobody_is_left_without(
    wanted: dict[str, int], places: int, turn: int
) -> None:
    given_ = shares(wanted, places, turn)
    assert sum(given_.values()) == places
    if len(wanted) <= places:
        assert min(given_.values()) >= 1
        ordered = [given_[owner] for owner in sorted(wanted, key=lambda owner: (wanted[owner], owner))]
        assert all(after >= before - 1 for before, after in pairwise(ordered))
    else:
        turns = [shares(wanted, places, turn + later) for later in range(len(wanted))]
        had = Counter(owner for each in turns for owner in each if each[owner])
        assert set(had.values()) == {places}  # as often as everybody else


async def test_alone_a_process_has_everything(process: Callable[..., Process]) -> None:
    a = process("a")
    gate = a.gate()
    await a.sync()
    await a.ask(gate, 20)
    await a.sync()
    assert gate.in_flight == gate.ceiling == 12 and gate.rate_share == 1
    [row] = await rows(ProviderDemand)
    assert (row.owner, row.wanted, row.in_flight, row.limit) == ("a", 20, 12, 12)


async def test_a_newcomer_gets_a_call_at_once_and_its_share_as_soon_as_it_is_free(
    process: Callable[..., Process],
) -> None:
    a, b = process("a"), process("b")
    mine, theirs = a.gate(), b.gate()
    await a.ask(mine, 400, for_s=0.05)  # many: on a busy machine some end meanwhile
    await a.sync()
    await b.sync()
    assert (mine.ceiling, theirs.ceiling) == (12, 1)
    await b.ask(theirs, 400)
    await b.sync()
    assert theirs.ceiling == 1  # the other one still holds all places
    await a.sync()
    assert mine.ceiling == 6
    await asyncio.sleep(0.06)
    await a.sync()
    await b.sync()
    assert (mine.ceiling, theirs.ceiling, theirs.in_flight) == (6, 6, 6)
    assert 0.4 < mine.rate_share < 0.7


async def test_processes_that_start_together_share_at_once(process: Callable[..., Process]) -> None:
    """Before any call: each tells how many are about to come, and knows that it is owed places."""
    a, b = process("a"), process("b")
    mine, theirs = a.gate(), b.gate()
    mine.expect(1, 12)
    await a.sync()
    theirs.expect(2, 12)
    await b.sync()
    assert (mine.ceiling, mine.owed, theirs.ceiling, theirs.owed) == (12, False, 1, True)
    await a.sync()
    await b.sync()
    assert (mine.ceiling, mine.owed, theirs.ceiling, theirs.owed) == (6, False, 6, False)


async def test_places_given_out_never_exceed_the_limit(process: Callable[..., Process]) -> None:
    """Apart from one first call each, whatever order processes come and ask in."""
    members = [process(name) for name in "abc"]
    gates = [each.gate() for each in members]
    for turn in range(12):
        at = (turn * 7) % 3
        await members[at].ask(gates[at], turn % 5 + 1, for_s=0.02)
        await members[at].sync()
        assert sum(gate.in_flight for gate in gates) <= 12 + 2
        busy = [gate for gate in gates if gate.ordered]
        assert sum(gate.ceiling for gate in busy) <= 12 + 2
    for _ in range(3):
        for member, gate in zip(members, gates, strict=True):
            await member.ask(gate, 30)
            await member.sync()
    await asyncio.sleep(0.05)
    for member in members * 2:
        await member.sync()
    assert sum(gate.ceiling for gate in gates) == sum(gate.in_flight for gate in gates) == 12


async def test_one_place_goes_from_process_to_process(
    process: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "TURN_MS", 100)
    members = [process(name) for name in "abc"]
    gates = [each.gate(concurrency=1) for each in members]
    for member in members:
        await member.sync()
    for member, gate in zip(members, gates, strict=True):
        await member.ask(gate, 200, for_s=0.005)
    most, end = 0, time.monotonic() + 2
    while time.monotonic() < end:
        for member in members:
            await member.sync()
            most = max(most, sum(gate.in_flight for gate in gates))
    assert most == 1
    assert min(len(member.went) for member in members) > 5


async def test_an_idle_process_gives_its_share_back(process: Callable[..., Process]) -> None:
    a, b = process("a"), process("b")
    mine, theirs = a.gate(), b.gate()
    for each, gate in ((a, mine), (b, theirs)):
        await each.ask(gate, 3, for_s=0.01)
    for _ in range(2):
        await b.sync()
        await a.sync()
    assert mine.ceiling + theirs.ceiling <= 12 and theirs.ceiling > 3
    await asyncio.sleep(0.02)
    await b.sync(4)  # its first report still knows of the calls
    assert [row.owner for row in await rows(ProviderDemand)] == ["a"]
    assert theirs.ceiling == 1  # enough for a first call
    await a.ask(mine, 1)
    await a.sync()
    assert mine.ceiling == 12


async def test_shares_of_the_dead_lapse(process: Callable[..., Process]) -> None:
    a, b = process("a"), process("b")
    mine, theirs = a.gate(), b.gate()
    await b.ask(theirs, 12)
    await b.sync()
    await a.sync()
    assert mine.ceiling == 1
    await change(ProviderDemand, until_ms=await seen(now_ms) - 1)
    await a.ask(mine, 12)
    await a.sync()
    assert mine.ceiling == 12


async def test_who_leaves_gives_everything_back(process: Callable[..., Process]) -> None:
    a = process("a")
    await a.ask(a.gate(), 3)
    await a.sync()
    await change(ProviderHold, probe_owner="a", open_until_ms=10**15)
    await a.gates.leave(a.database)
    assert await rows(ProviderDemand) == []
    [hold] = await rows(ProviderHold)
    assert hold.probe_owner == "" and hold.open_until_ms < 10**15


async def test_small_changes_do_not_move_shares(process: Callable[..., Process]) -> None:
    a = process("a")
    gate = a.gate(concurrency=100)
    wanted = []
    for count in (40, 30, 38, 26, 20, 41):
        await a.ask(gate, count, for_s=0)
        await a.sync()
        gate.peak = 0
        wanted.append(gate.wanted)
    assert wanted == [40, 40, 40, 40, 20, 41]


async def test_a_newcomer_starts_as_slowly_as_the_others_were_told_to(
    process: Callable[..., Process],
) -> None:
    a, b = process("a"), process("b")
    mine, theirs = a.gate(concurrency=64), b.gate(concurrency=64)
    await a.ask(mine, 200)
    for _ in range(2):
        mine._halved_at = 0
        mine.learned("rate_limited")
    await a.sync()
    theirs.peak = 200
    await b.sync()
    assert (mine.width, theirs.ceiling, theirs.width) == (16, 1, 1)  # 64 calls are in flight still
    for call in list(a.calls):
        call.cancel()
    await asyncio.sleep(0.01)
    for each in (a, b):
        await each.sync()
    assert (mine.width, theirs.ceiling, theirs.width) == (8, 32, 8)


async def test_an_endpoint_without_a_row_has_its_limits_to_itself(process: Callable[..., Process]) -> None:
    a = process("a")
    a.provider_id = 0
    gate = a.gate()
    await a.ask(gate, 20)
    await a.sync()
    assert gate.in_flight == 12 and await rows(ProviderDemand) == []


def test_a_sync_costs_few_queries(provider: Callable[..., Provider]) -> None:
    reports = [Report(provider().pk, 12, 3, float("inf"), 12, 3, 0) for _ in range(3)]
    sharing.exchange("a", reports)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        sharing.exchange("a", reports)
    assert len([query for query in captured if "BEGIN" not in query["sql"]]) <= 5


# Paces


@pytest.mark.parametrize("limits", [{"requests_per_minute": 3660}, {"tokens_per_minute": 36_600}])
async def test_two_processes_share_a_pace(process: Callable[..., Process], limits: dict[str, int]) -> None:
    a, b = process("a"), process("b")
    gates = [each.gate(concurrency=100, **limits) for each in (a, b)]
    for each in (a, b):
        await each.sync()

    async def worker(each: Process, gate: Gate) -> None:
        while True:
            async with gate.place(1, 10):
                each.went.append(time.monotonic())
            gate.learned("ok", None, 10, 10)

    for each, gate in zip((a, b), gates, strict=True):
        each.calls = {asyncio.create_task(worker(each, gate)) for _ in range(8)}
    for _ in range(4):
        await asyncio.sleep(0.3)
        await a.sync()
        await b.sync()
    begun = time.monotonic()
    before = len(a.went), len(b.went)
    for _ in range(4):
        await asyncio.sleep(0.3)
        await a.sync()
        await b.sync()
    seconds = time.monotonic() - begun
    counts = [len(a.went) - before[0], len(b.went) - before[1]]
    assert 60 * seconds * 0.8 <= sum(counts) <= 60 * seconds * 1.05 + 2
    assert 0.8 <= counts[0] / counts[1] <= 1.25


# Pauses and the circuit


async def test_a_pause_asked_of_one_process_holds_all(process: Callable[..., Process]) -> None:
    a, b = process("a"), process("b")
    mine, theirs = a.gate(), b.gate()
    mine.learned("rate_limited", 700)
    await a.sync()
    await b.sync()
    hold = theirs.held()
    assert hold and hold.reason == "it asked for a pause" and 400 < hold.for_ms <= 701
    [row] = await rows(ProviderHold)
    await a.sync()
    await b.sync()
    assert (await rows(ProviderHold))[0].closed_until_ms == row.closed_until_ms  # told once
    await asyncio.sleep(0.75)
    assert mine.held() is theirs.held() is None
    await b.ask(theirs, 1)
    assert theirs.in_flight == 1


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "OPEN_FIRST_S", 0.25)
    monkeypatch.setattr(circuit, "OPEN_MOST_S", 3.0)


async def test_one_probe_over_all_processes(process: Callable[..., Process], quick: None) -> None:
    a, b = process("a"), process("b")
    mine, theirs = a.gate(), b.gate()
    await a.sync()
    await b.sync()
    await a.fails(mine, OPENS_AFTER)
    await a.sync()
    await b.sync()
    for gate in (mine, theirs):
        hold = gate.held()
        assert hold and hold.reason == "8 calls in a row failed (server error); one probe goes out then"
    await a.ask(mine, 5)
    await b.ask(theirs, 5)
    await asyncio.sleep(0.3)
    assert mine.in_flight == theirs.in_flight == 0  # only a sync says who
    for _ in range(3):
        await b.sync()
        await a.sync()
    assert (mine.in_flight, theirs.in_flight) == (0, 1)
    hold = mine.held()
    assert hold and (hold.for_ms == 0 or "one probe" in hold.reason)
    b.finish.set()
    await asyncio.sleep(0.01)
    assert theirs.held() is None
    await b.sync()
    await a.sync()
    assert mine.held() is None and mine.in_flight == 5
    [row] = await rows(ProviderHold)
    assert (row.open_until_ms, row.failures, row.probe_owner, row.reason) == (0, 0, "", "")


async def test_a_failed_probe_shuts_it_for_all_for_longer(
    process: Callable[..., Process], quick: None
) -> None:
    a, b = process("a"), process("b")
    mine, theirs = a.gate(), b.gate()
    await b.sync()
    await a.fails(mine, OPENS_AFTER)
    await a.sync()
    await a.ask(mine, 3, kind="timeout", for_s=0.01)
    await asyncio.sleep(0.27)
    await a.sync()
    await asyncio.sleep(0.03)
    assert len(a.went) == 1
    await a.sync()
    await b.sync()
    for gate in (mine, theirs):
        hold = gate.held()
        assert (
            hold and 250 < hold.for_ms <= 500 and hold.reason.startswith("9 calls in a row failed (no answer")
        )


async def test_a_probe_of_the_dead_goes_to_another(process: Callable[..., Process]) -> None:
    a = process("a")
    gate = a.gate()
    await a.sync()
    past = await seen(now_ms) - 1
    await change(ProviderHold, open_until_ms=past, failures=9, probe_owner="dead", reason="9 failed")
    await a.sync()
    await a.ask(gate, 3)
    assert gate.in_flight == 0
    await a.sync(2)
    assert gate.in_flight == 1
    [row] = await rows(ProviderHold)
    assert row.probe_owner == "a" and row.open_until_ms > past + 5_000  # its hold on the circuit


async def test_who_has_nothing_to_send_takes_no_probe(process: Callable[..., Process]) -> None:
    a, b = process("a"), process("b")
    mine, theirs = a.gate(), b.gate()
    await a.sync()
    await change(ProviderHold, open_until_ms=1, failures=8, reason="8 failed")
    await a.sync()
    await b.sync()
    assert [row.probe_owner for row in await rows(ProviderHold)] == [""]
    await b.ask(theirs, 2)
    await b.sync()
    assert (mine.circuit.granted, theirs.in_flight) == (False, 1)
    assert [row.probe_owner for row in await rows(ProviderHold)] == ["b"]


async def test_failures_in_a_row_count_over_all_processes(process: Callable[..., Process]) -> None:
    a, b = process("a"), process("b")
    mine, theirs = a.gate(), b.gate()
    await a.fails(mine, 5)
    await a.sync()
    await b.fails(theirs, 1)
    theirs.learned("ok")
    await b.fails(theirs, 2)
    await b.sync()
    assert [row.failures for row in await rows(ProviderHold)] == [2]
    await a.sync()
    await a.fails(mine, 5)
    await a.sync()
    assert mine.held() is None
    await b.sync()
    await b.fails(theirs, 1)
    assert theirs.held() is not None


class Away(DatabaseThread):
    """Its server cannot be reached, or can write nothing."""

    def __init__(self, error: Exception):
        self.error = error

    async def run(self, *anything: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [OperationalError("gone"), DiskFull("full")])
async def test_without_the_database_the_last_shares_stand_and_news_is_kept(
    process: Callable[..., Process], error: Exception
) -> None:
    a, b = process("a"), process("b")
    mine, theirs = a.gate(), b.gate()
    await b.ask(theirs, 12)
    await b.sync()
    await a.sync()
    mine.learned("rate_limited", 60_000)
    await a.gates.sync(Away(error))
    assert mine.ceiling == 1
    mine.learned("ok")
    await a.sync()
    await b.sync()
    assert theirs.held() is not None
