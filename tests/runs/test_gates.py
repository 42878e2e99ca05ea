"""A provider's door: its limit, the turns of runs, and what 429 does to it."""

import asyncio
import time
from collections import Counter

from runs.engine.gates import Gate, Gates


async def calls(gate: Gate, run_id: int, count: int, order: list[int]) -> None:
    async def one() -> None:
        async with gate.place(run_id):
            order.append(run_id)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(one() for _ in range(count)))


async def test_never_more_in_flight_than_the_limit() -> None:
    gate, most = Gate(3, None), 0

    async def one() -> None:
        nonlocal most
        async with gate.place(1):
            most = max(most, gate.in_flight)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(one() for _ in range(20)))
    assert (most, gate.in_flight) == (3, 0)


async def test_a_small_run_beside_a_large_one_gets_its_share_at_once() -> None:
    gate, order = Gate(2, None), []
    large = asyncio.create_task(calls(gate, 1, 200, order))
    await asyncio.sleep(0.005)
    begun = len(order)
    await calls(gate, 2, 10, order)
    share = Counter(order[begun:])[2] / len(order[begun:])
    assert share > 0.4
    await large


async def test_a_canceled_waiter_leaves_its_place_to_the_next() -> None:
    gate = Gate(1, None)
    async with gate.place(1):
        waiting = [asyncio.create_task(calls(gate, 1, 1, [])) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert gate.in_flight == 0 and not gate._queues


async def test_429_halves_the_limit_and_good_answers_grow_it_back() -> None:
    gate = Gate(16, None)
    gate.refused(None)
    gate.refused(None)
    assert gate.limit == 8  # many at the same moment are one refusal
    for _ in range(500):
        gate.answered()
    assert gate.limit == 16


async def test_retry_after_closes_the_door_for_everyone() -> None:
    gate = Gate(4, None)
    gate.refused(150)
    started = time.monotonic()
    async with gate.place(1):
        assert time.monotonic() - started >= 0.149


async def test_a_pace_spreads_requests() -> None:
    gate, started = Gates().gate(1, 10, 1200), time.monotonic()
    await calls(gate, 1, 5, [])
    assert time.monotonic() - started >= 0.19
