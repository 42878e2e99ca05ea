"""Processes that share a provider: places and paces go through the database."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from registry.models import Provider
from runs.engine import gates as runs_gates
from runs.engine import sharing
from runs.engine.clock import now_ms
from runs.engine.gates import Gate
from runs.engine.sharing import Report, shares
from runs.models import ProviderDemand, ProviderHold
from tests.runs.processes import Process, change, rows, seen

pytestmark = pytest.mark.django_db(transaction=True)


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


async def test_a_process_leaves_what_it_does_not_need_to_who_comes_next(
    process: Callable[..., Process],
) -> None:
    a, b = process("a"), process("b")
    first, second = a.gate(concurrency=400), b.gate(concurrency=400)
    await a.ask(first, 100)
    await a.sync()
    await b.ask(second, 100)
    await b.sync()
    assert (first.ceiling, second.ceiling, second.owed) == (200, 200, False)
    assert second.in_flight == 100


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
    most, began = 0, time.monotonic()
    while time.monotonic() < began + 2 or min(len(member.went) for member in members) <= 5:
        assert time.monotonic() < began + 30
        for member in members:
            await member.sync()
            most = max(most, sum(gate.in_flight for gate in gates))
    assert most == 1


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


async def test_a_process_has_twice_its_wish_and_the_provider_no_more_than_it_bears(
    process: Callable[..., Process],
) -> None:
    """What refusals taught is a part of the whole share: neither fewer places than the share, nor a second
    process, nor a larger wish change how many calls the provider gets."""
    a, b = process("a"), process("b")
    mine, theirs = a.gate(concurrency=400), b.gate(concurrency=400)
    mine.peak = 100
    await a.sync()
    assert (mine.share, mine.ceiling, mine.width) == (400, 200, 200)
    mine.in_flight = 79  # and the one that is refused
    mine.learned("rate_limited")
    mine.in_flight = 0
    assert mine.width == 40
    mine.peak = 200
    await a.sync()
    assert (mine.ceiling, mine.width) == (400, 40)
    mine.peak = theirs.peak = 100
    await a.sync()
    await b.sync()
    await a.sync()
    assert [(each.share, each.ceiling, each.width) for each in (mine, theirs)] == [(200, 200, 20)] * 2
    for few in (10, 1):
        mine._halved_at, mine.peak = 0.0, few
        await a.sync()
        mine.learned("rate_limited")
    assert 1 <= mine.width <= 5


async def test_a_newcomer_tells_the_part_that_it_starts_with(process: Callable[..., Process]) -> None:
    a, b = process("a"), process("b")
    mine, theirs = a.gate(concurrency=64), b.gate(concurrency=64)
    mine.part, mine.peak, theirs.peak = 0.25, 10, 10
    await a.sync()
    await b.sync()
    assert [row.part for row in await rows(ProviderDemand)] == [0.25, 0.25]
    assert b.gate(concurrency=64).part == 0.25  # also when another run of the process begins


async def test_calls_that_wait_for_places_which_a_sync_would_bring_ask_soon(
    process: Callable[..., Process],
) -> None:
    a = process("a")
    gate = a.gate(concurrency=64)
    gate.expect(1, 1)  # a judging does not know how many will come
    await a.sync()
    await a.ask(gate, 40)
    assert (gate.ceiling, gate.in_flight, gate.short) == (16, 16, True)
    await a.sync()
    assert (gate.in_flight, gate.short) == (40, False)
    gate.part = 0.5
    gate._set_width()
    await a.ask(gate, 1)
    await a.sync()
    assert gate.queued == 1 and not gate.short  # refusals, not places, keep it waiting


async def test_who_waits_for_its_turn_at_few_places_does_not_ask_all_the_time(
    process: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "TURN_MS", 10**12)  # none ends between the looks
    each = [process(name) for name in "abc"]
    for one in each:
        await one.ask(one.gate(concurrency=1), 2)
        await one.sync()
    for one in each:
        await one.sync()
    without = [one.gate(concurrency=1) for one in each if not one.gate(concurrency=1).share]
    assert len(without) == 2 and not any(gate.short for gate in without)


async def test_who_comes_back_is_not_slowed_down_by_what_the_others_have_of_the_places(
    process: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that share hold half of the places each, and one that has just left leaves a gap: nobody was told
    to slow down."""
    monkeypatch.setattr(runs_gates, "LAPSES_AFTER_S", 0.0)
    a, b, c = process("a"), process("b"), process("c")
    for _ in range(3):
        for each in (a, b):
            await each.ask(each.gate(concurrency=64), 64, for_s=0)
            await each.sync()
    await b.gates.leave(b.database)
    await c.ask(c.gate(concurrency=64), 64, for_s=0)
    await c.sync()
    assert [each.gate(concurrency=64).part for each in (a, b, c)] == [1.0, 1.0, 1.0]


async def test_what_refusals_have_taught_is_forgotten_after_a_quiet_minute(
    process: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    a = process("a")
    await a.ask(a.gate(concurrency=64), 1, kind="rate_limited", for_s=0)
    await a.sync()
    assert a.gate(concurrency=64).part == 0.5
    monkeypatch.setattr(runs_gates, "FORGETS_AFTER_S", 0.0)
    assert a.gate(concurrency=64).part == 1.0


async def test_an_endpoint_without_a_row_has_its_limits_to_itself(process: Callable[..., Process]) -> None:
    a = process("a")
    a.provider_id = 0
    gate = a.gate()
    await a.ask(gate, 20)
    await a.sync()
    assert gate.in_flight == 12 and await rows(ProviderDemand) == []


def test_a_sync_costs_few_queries(provider: Callable[..., Provider]) -> None:
    reports = [Report(provider().pk, 12, 3, 1.0, 12, 3, 0) for _ in range(3)]
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
    assert 60 * seconds * 0.5 <= sum(counts) <= 60 * seconds * 1.05 + 2
    assert 0.6 <= counts[0] / counts[1] <= 1.6
