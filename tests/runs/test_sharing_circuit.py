"""Processes that share a provider: pauses and the circuit go through the database."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from runs.engine import circuit
from runs.engine.circuit import OPENS_AFTER
from runs.engine.clock import now_ms
from runs.engine.database import DatabaseThread
from runs.engine.disk import DiskFull
from runs.models import ProviderHold
from tests.runs.processes import Process, change, rows, seen

pytestmark = pytest.mark.django_db(transaction=True)


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
