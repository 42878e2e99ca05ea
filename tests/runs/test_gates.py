"""A provider's door in one process: its limit, the turns of runs, paces, pauses, and its circuit."""

import asyncio
import random
import time
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.client import CallFailed
from runs.engine import circuit
from runs.engine.attempts import MOST_ASKED_WAITS, MOST_FAILED_WAITS, failed_outcome
from runs.engine.circuit import OPENS_AFTER, open_s
from runs.engine.gates import TOGETHER, Gate, Gates, Limits
from runs.engine.leases import Claimed
from runs.engine.pace import Bucket
from runs.engine.sharing import News


async def calls(gate: Gate, run_id: int, count: int, order: list[int], tokens: int = 0) -> None:
    async def one() -> None:
        async with gate.place(run_id, tokens):
            order.append(run_id)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(one() for _ in range(count)))


async def one_call(gate: Gate, kind: str, reserved: int = 0, used: int | None = None) -> float:
    """When it went out."""
    async with gate.place(1, reserved):
        started = time.monotonic()
    gate.learned(kind, None, used, reserved)
    return started


# Places and turns


async def test_never_more_in_flight_than_the_limit() -> None:
    gate, most = Gate(Limits(3)), 0

    async def one() -> None:
        nonlocal most
        async with gate.place(1):
            most = max(most, gate.in_flight)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(one() for _ in range(20)))
    assert (most, gate.in_flight, gate.queued) == (3, 0, 0)


async def test_places_that_come_free_together_are_taken_few_in_a_turn_of_the_loop() -> None:
    """Else all of the calls connect before the first one is sent."""
    gate, order = Gate(Limits(1)), []
    waiting = asyncio.create_task(calls(gate, 1, 40, order))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gate.set_limits(Limits(40))
    seen = [gate.in_flight]
    while gate.queued:
        await asyncio.sleep(0)
        seen.append(gate.in_flight)
    assert max(after - before for before, after in pairwise(seen)) <= TOGETHER
    await waiting
    assert len(order) == 40


async def test_between_counts_a_share_is_kept_and_what_is_expected_is_told() -> None:
    gate = Gate(Limits(12))

    def told(counts: bool = False) -> int:
        report = gate.report(1, counts)
        assert report
        return report.wanted

    await one_call(gate, "ok")
    assert told(counts=True) == 1
    assert [told() for _ in range(5)] == [1] * 5  # an idle second is not over with each sync
    gate.expect(7, 10)
    gate.expect(8, 2)
    assert told() == 12
    gate.expect(7, 3)
    assert told() == 5 and told(counts=True) == 5
    gate.stand_still()
    assert gate.width == 1
    gate.without_orders(News())
    assert gate.width == 12


async def test_a_small_run_beside_a_large_one_gets_its_share_at_once() -> None:
    gate, order = Gate(Limits(2)), []
    large = asyncio.create_task(calls(gate, 1, 200, order))
    await asyncio.sleep(0.005)
    begun = len(order)
    await calls(gate, 2, 10, order)
    share = Counter(order[begun:])[2] / len(order[begun:])
    assert share > 0.4
    await large


async def test_runs_alternate_at_a_paced_door_too() -> None:
    gate, order = Gate(Limits(50, requests_per_minute=6100)), []
    await asyncio.gather(calls(gate, 1, 140, order), calls(gate, 2, 40, order))
    both = order[60:120]  # past the first fifty, for whom there was room
    assert all(first != second for first, second in pairwise(both))


async def test_a_canceled_waiter_leaves_its_place_to_the_next() -> None:
    gate = Gate(Limits(1))
    async with gate.place(1):
        waiting = [asyncio.create_task(calls(gate, 1, 1, [])) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (gate.in_flight, gate.queued, gate._lines) == (0, 0, {})


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.booleans())
def test_canceling_at_any_moment_leaks_no_place(seed: int, limit: int, failing: bool) -> None:
    chance = random.Random(seed)

    async def storm() -> None:
        gate = Gate(Limits(limit, requests_per_minute=600_000, tokens_per_minute=6_000_000))

        async def one(run_id: int) -> None:
            async with gate.place(run_id, chance.randrange(200)):
                assert gate.in_flight <= limit
                await asyncio.sleep(chance.choice((0, 0, 0.0005)))
            gate.learned(chance.choice(("timeout", "ok", "rate_limited")) if failing else "ok")

        tasks = [asyncio.create_task(one(chance.randrange(3))) for _ in range(60)]
        for task in chance.sample(tasks, 30):
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait(tasks)
        assert (gate.in_flight, gate.queued, gate._lines) == (0, 0, {})
        async with asyncio.timeout(1):
            await calls(gate, 1, limit, [])

    asyncio.run(storm())


# 429 and pauses


async def test_429_halves_the_limit_and_good_answers_grow_it_back() -> None:
    gate = Gate(Limits(16))
    gate.learned("rate_limited")
    gate.learned("rate_limited")
    assert gate.limit == gate.width == 8  # many at the same moment are one refusal
    for _ in range(9):
        gate.learned("ok")
    assert gate.width == 9  # one more for each full round
    for _ in range(500):
        gate.learned("ok")
    assert gate.limit == gate.width == 16


async def test_a_wave_of_refusals_halves_once_and_few_calls_tell_little() -> None:
    """Calls that went out before the last halving were refused for what was in flight then."""
    gate = Gate(Limits(400))
    before = time.monotonic()
    gate.in_flight = 399
    gate.learned("rate_limited", began=before)
    assert gate.width == 200
    gate._halved_at -= 2.0  # stragglers, a second later and more
    gate.in_flight = 10
    gate.learned("rate_limited", began=gate._halved_at - 0.5)
    assert gate.width == 200
    gate.in_flight = 79
    gate.learned("rate_limited", began=gate._halved_at + 0.5)
    assert gate.width == 40
    gate._halved_at, gate.in_flight = 0.0, 3
    gate.learned("rate_limited")
    assert gate.width == 20  # half, not half of four


async def test_retry_after_closes_the_door_for_everyone_and_says_so() -> None:
    gate = Gate(Limits(4))
    assert gate.held() is None
    gate.learned("rate_limited", 150)
    hold, started = gate.held(), time.monotonic()
    assert hold and hold.reason == "it asked for a pause" and 100 < hold.for_ms <= 150
    await asyncio.gather(calls(gate, 1, 2, []), calls(gate, 2, 2, []))
    assert 0.149 <= time.monotonic() - started < 30
    assert gate.held() is None


async def test_the_call_that_asks_for_a_pause_lets_nobody_through_behind_it() -> None:
    gate, started = Gate(Limits(1)), time.monotonic()
    waiting: asyncio.Task[float]
    async with gate.place(1):
        waiting = asyncio.create_task(one_call(gate, "ok"))
        await asyncio.sleep(0.01)
    gate.learned("rate_limited", 120)
    assert await waiting - started >= 0.12


async def test_a_provider_that_pauses_holds_no_other_up() -> None:
    gates, order = Gates("me"), []
    gates.gate(1, Limits(1)).learned("rate_limited", 60_000)
    async with asyncio.timeout(1):
        await calls(gates.gate(2, Limits(4)), 1, 20, order)
    assert len(order) == 20


@pytest.mark.parametrize("failures", [0, 2])
def test_a_wait_that_the_provider_asks_for_uses_no_attempt_up(failures: int) -> None:
    class Plan:
        max_failures = 3

    class Work:
        trial = Claimed(1, 1, 1, 1, 1, "", 5, failures)

    for kind, wait_ms, counted in (
        ("rate_limited", 1500, 0),
        ("rate_limited", 0, 0),
        ("rate_limited", None, 1),
        ("server_error", 1500, 0),
        ("server_error", None, 1),
        ("timeout", None, 1),
    ):
        failed = CallFailed(kind, "no", retry_after_ms=wait_ms)
        outcome: Any = failed_outcome(Plan(), Work(), failed)  # type: ignore[arg-type]
        assert outcome.counts == bool(counted)
        assert outcome.state == ("waiting" if failures + counted < 3 else "errored")
        assert not wait_ms or wait_ms <= outcome.delay_ms <= wait_ms + 250
    for kind, wait_ms, most in (
        ("rate_limited", 1, MOST_ASKED_WAITS),
        ("rate_limited", 0, MOST_FAILED_WAITS),
        ("server_error", 1, MOST_FAILED_WAITS),
    ):
        for attempt, counted in ((most - 1, False), (most, True)):
            Work.trial = Claimed(1, 1, 1, 1, 1, "", attempt, failures)
            failed = CallFailed(kind, "", retry_after_ms=wait_ms)
            assert failed_outcome(Plan(), Work(), failed).counts == counted  # type: ignore[arg-type]


def test_who_says_now_and_refuses_again_is_asked_more_and_more_seldom() -> None:
    class Plan:
        max_failures = 3

    class Work:
        trial: Claimed

    waits = []
    for attempt in (1, 3, 5, 12):
        Work.trial = Claimed(1, 1, 1, 1, 1, "", attempt, 0)
        failed = CallFailed("rate_limited", "no", retry_after_ms=0)
        waits.append(failed_outcome(Plan(), Work(), failed).delay_ms)  # type: ignore[arg-type]
    assert waits == sorted(waits) and waits[0] >= 500 and 30_000 <= waits[-1] <= 60_000


# Paces


@given(
    per_minute=st.integers(1, 100_000),
    asked=st.lists(st.tuples(st.floats(0, 20), st.floats(0, 3)), min_size=1, max_size=80),
)
def test_never_more_than_the_pace_in_any_minute(per_minute: int, asked: list[tuple[float, float]]) -> None:
    """Of amounts up to the bucket's size; each goes as soon as it may after its gap."""
    bucket, now, went = Bucket(per_minute, 1.0, 0.0), 0.0, list[tuple[float, float]]()
    for gap, part in asked:
        amount = min(max(1.0, part * bucket.size), bucket.size)
        now += gap
        now += bucket.wait_s(amount, now)
        assert bucket.wait_s(amount, now) < 1e-3
        bucket.take(amount)
        went.append((now, amount))
    for start, _ in went:
        minute = sum(amount for at, amount in went if start <= at < start + 59.99)
        assert minute <= per_minute * (1 + 1e-6) + 1 * (per_minute < 61)


def test_a_call_larger_than_the_bucket_goes_alone_and_pays() -> None:
    bucket = Bucket(6100, 1.0, 0.0)  # 100 a second
    assert bucket.wait_s(500, 0.0) == 0
    bucket.take(500)
    assert bucket.wait_s(1, 0.0) == pytest.approx(4.01)
    assert bucket.wait_s(500, 4.5) == pytest.approx(0.5)


def test_a_bucket_is_filled_again_at_its_pace_and_no_further() -> None:
    bucket = Bucket(61, 1.0, 0.0)
    assert [round(bucket.wait_s(1, at), 3) for at in (0.0, 0.0)] == [0, 0]
    bucket.take(1)
    assert bucket.wait_s(1, 0.25) == pytest.approx(0.75)
    bucket.take(1)
    assert bucket.wait_s(1, 1000.0) == 0 and bucket.level == 1


async def test_requests_per_minute_spread_calls() -> None:
    gate, started = Gates("me").gate(1, Limits(50, requests_per_minute=1220)), time.monotonic()
    await calls(gate, 1, 30, [])  # 20 at once, then 20 a second
    assert 0.45 <= time.monotonic() - started < 30


async def test_tokens_per_minute_count_estimates_until_they_are_known() -> None:
    gate = Gate(Limits(50, tokens_per_minute=61_000))  # 1,000 a second
    first = await one_call(gate, "ok", 1000, used=200)
    assert await one_call(gate, "ok", 700) - first < 0.1  # 800 of the estimate were not used
    assert await one_call(gate, "ok", 400) - first >= 0.29


async def test_changed_limits_apply_at_once() -> None:
    gates = Gates("me")
    gate = gates.gate(1, Limits(1, requests_per_minute=1))
    await one_call(gate, "ok")
    waiting = asyncio.create_task(calls(gate, 1, 4, []))
    await asyncio.sleep(0.01)
    assert gate.queued == 4
    assert gates.gate(1, Limits(4)) is gate
    async with asyncio.timeout(1):
        await waiting
    assert gate.width == 4


# The circuit


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Circuits that stay open for a twentieth of the time."""
    monkeypatch.setattr(circuit, "OPEN_FIRST_S", 0.25)
    monkeypatch.setattr(circuit, "OPEN_MOST_S", 3.0)


async def broken(gate: Gate, kind: str = "server_error", times: int = OPENS_AFTER) -> None:
    for _ in range(times):
        await one_call(gate, kind)


@pytest.mark.parametrize("kind", ["server_error", "timeout", "connection"])
async def test_a_circuit_opens_after_failures_in_a_row(kind: str) -> None:
    gate = Gate(Limits(4))
    await broken(gate, kind, OPENS_AFTER - 1)
    assert gate.held() is None
    await broken(gate, kind, 1)
    hold = gate.held()
    assert hold and 3900 < hold.for_ms <= 5000
    assert hold.reason == f"8 calls in a row failed ({circuit.FAILING[kind]}); one probe goes out then"


@pytest.mark.parametrize("answer", ["ok", "rate_limited", "bad_request", "malformed", "empty"])
async def test_any_answer_between_them_begins_the_count_anew(answer: str) -> None:
    gate = Gate(Limits(4))
    for kind in ("timeout", answer) * 9:
        await one_call(gate, kind)
    await broken(gate, times=OPENS_AFTER - 1)
    assert gate.held() is None


async def test_one_probe_goes_out_and_its_answer_opens_the_door(quick: None) -> None:
    gate, order = Gate(Limits(8)), []
    await broken(gate)
    opened = time.monotonic()
    probing = asyncio.Event()

    async def worker() -> None:
        async with gate.place(1):
            order.append(time.monotonic() - opened)
            probing.set()
            if len(order) == 1:
                await asyncio.sleep(0.1)
        gate.learned("ok")

    workers = [asyncio.create_task(worker()) for _ in range(20)]
    await probing.wait()
    assert gate.in_flight == 1
    hold = gate.held()
    assert hold and "a probe is on its way" in hold.reason
    await asyncio.gather(*workers)
    assert order[0] >= 0.19
    assert min(order[1:]) >= order[0] + 0.099
    assert gate.held() is None


async def test_a_failed_probe_keeps_it_shut_for_longer(quick: None) -> None:
    gate = Gate(Limits(8))
    await broken(gate)
    for number in range(2):
        await one_call(gate, "timeout")
        hold = gate.held()
        assert hold and 200 * 2**number < hold.for_ms <= 500 * 2**number
        assert hold.reason.startswith(f"{9 + number} calls in a row failed (no answer in time)")


async def test_late_failures_do_not_prolong_it(quick: None) -> None:
    gate = Gate(Limits(100))

    async def late(seconds: float, kind: str) -> None:
        async with gate.place(1):
            await asyncio.sleep(seconds)
        gate.learned(kind)

    lates = [asyncio.create_task(late(0.05 + 0.01 * n, "timeout")) for n in range(40)]
    await asyncio.sleep(0)
    await broken(gate)
    opened = time.monotonic()
    async with gate.place(1):  # the probe, while some of the others still fail
        assert time.monotonic() - opened < 0.4
        await asyncio.sleep(0.1)
        assert gate.in_flight > 1 and gate.circuit.failures == OPENS_AFTER
    gate.learned("ok")
    assert gate.held() is None
    await asyncio.gather(*lates, return_exceptions=True)


async def test_a_probe_that_is_taken_back_leaves_the_task_to_the_next(quick: None) -> None:
    gate = Gate(Limits(8))
    await broken(gate)
    first = asyncio.create_task(calls(gate, 1, 1, []))
    while gate.in_flight == 0:  # noqa: ASYNC110 (state of the door)
        await asyncio.sleep(0.001)
    first.cancel()
    async with asyncio.timeout(1):
        await one_call(gate, "ok")
    assert gate.held() is None


def test_an_open_circuit_waits_ever_longer_up_to_a_minute() -> None:
    for failures, longest in ((8, 5), (9, 10), (10, 20), (11, 40), (12, 60), (500, 60)):
        waits = [open_s(failures) for _ in range(50)]
        assert longest * 0.8 <= min(waits) < max(waits) <= longest


def test_news_adds_up() -> None:
    first = News(closed_until=5, failed=3, answered=True)
    assert first.then(News(closed_until=4, failed=2)) == News(5, True, 5)
    assert first.then(News(answered=True, failed=1)) == News(5, True, 1)
    opened = News(failed=8, opened_until=9, reason="8 failed")
    assert opened.then(News(answered=True, verdict="ok")).opened_until == 0
