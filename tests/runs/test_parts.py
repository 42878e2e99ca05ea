"""Processes that execute a run together have no more of its calls in flight than it may have."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from django.db import connection

from registry.models import Provider, RegisteredModel
from runs.engine import leases, parts
from runs.engine.check import check_run
from runs.engine.clock import now_ms
from runs.engine.database import DatabaseThread
from runs.engine.host import Host, host
from runs.engine.parts import Part
from runs.engine.plan import load_plan
from runs.engine.pump import Pump
from runs.models import PumpLease, Run, RunStatus
from runs.services import run_pause, run_resume
from tests.services import wait_until
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
Models = Callable[..., RegisteredModel]


def test_two_processes_share_a_run_and_its_calls_in_flight(launched: Launched, stub: StubEndpoint) -> None:
    stub.reset(latency_ms=40)
    run = launched(1_200, concurrency=24)
    other = Host()
    threads = [threading.Thread(target=_to_end, args=(each, run.pk)) for each in (host(), other)]
    for thread in threads:
        thread.start()
    wait_until(lambda: PumpLease.objects.filter(run=run).count() == 2, "two pumps")
    for thread in threads:
        thread.join(60)
    other.stop()
    run = Run.objects.get(pk=run.pk)
    assert (run.status, run.done) == (RunStatus.COMPLETED, 1_200) and check_run(run.pk) == {}
    assert stub.stats.total == 1_200 == run.attempts.count()
    assert stub.stats.max_in_flight == 24
    assert not PumpLease.objects.exists()


def _to_end(process: Host, run_id: int) -> None:
    live = Run.objects.filter(pk=run_id, status__in=("pending", "running"))
    while not process.over and live.exists():
        process.pump(run_id, 30)
        time.sleep(0.1)
    connection.close()


def test_processes_that_start_together_have_their_places_at_once(
    launched: Launched, model: Models, provider: Callable[..., Provider], stub: StubEndpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The provider allows no more than the run wants, and the first to ask is given all of it: without asking
    again it would be a tick until the second one has its half."""
    monkeypatch.setattr("runs.engine.host.TICK_S", 60.0)
    both, take_run = threading.Barrier(2, timeout=60), leases.take_run

    def take_together(run_id: int, owner: str) -> bool:
        taken = take_run(run_id, owner)
        both.wait()
        return taken

    monkeypatch.setattr(leases, "take_run", take_together)
    stub.reset(latency_ms=3_000)
    run = launched(1_200, target=model(provider=provider(concurrency=24)), concurrency=24)
    other = Host()
    threads = [threading.Thread(target=_to_end, args=(each, run.pk)) for each in (host(), other)]
    for thread in threads:
        thread.start()
    wait_until(lambda: stub.stats.max_in_flight == 24, "all places in use")
    Run.objects.filter(pk=run.pk).update(status=RunStatus.PAUSED)
    for thread in threads:
        thread.join(60)
    other.stop()
    assert stub.stats.max_in_flight == 24 and check_run(run.pk) == {}


def test_who_joins_late_waits_for_calls_of_the_others_to_end(launched: Launched, stub: StubEndpoint) -> None:
    stub.reset(latency_ms=1_500)
    run = launched(1_200, concurrency=24)
    other = Host()
    threads = [threading.Thread(target=_to_end, args=(each, run.pk)) for each in (host(), other)]
    threads[0].start()
    wait_until(lambda: stub.stats.in_flight == 24, "all calls in flight")
    threads[1].start()
    holds = PumpLease.objects.filter(run=run).order_by("pk")
    wait_until(lambda: [*holds.values_list("calls", flat=True)] == [12, 12], "each its half")
    wait_until(lambda: stub.stats.in_flight == 24, "all calls in flight again")
    other.stop()
    wait_until(lambda: [*holds.values_list("calls", flat=True)] == [24], "the first has all of them again")
    Run.objects.filter(pk=run.pk).update(status=RunStatus.PAUSED)
    for thread in threads:
        thread.join(60)
    assert stub.stats.max_in_flight == 24 and check_run(run.pk) == {}


@pytest.mark.parametrize("concurrency", [3, 8, 25])
def test_parts_come_to_what_the_run_may_have(launched: Launched, concurrency: int) -> None:
    run = launched(2_000, concurrency=concurrency)
    names = ["a", "b", "c"]
    for name in names:
        assert leases.take_run(run.pk, name)
    shares = [parts.look(run.pk, name).share(concurrency) for name in names]
    assert sum(shares) == concurrency and max(shares) - min(shares) <= 1


def test_more_calls_come_only_out_of_what_the_others_leave(launched: Launched) -> None:
    run = launched(1_200, concurrency=10)
    assert leases.take_run(run.pk, "first") and leases.take_run(run.pk, "second")
    assert parts.widen(run.pk, "first", 8, 10) == 8
    seen = parts.look(run.pk, "second")
    assert seen == ("running", 2, 1, 8, 1_200) and seen.share(10) == 2
    assert parts.widen(run.pk, "second", 5, 10) == 2
    parts.narrow(run.pk, "first", 5)
    assert parts.widen(run.pk, "second", 5, 10) == 5
    PumpLease.objects.filter(owner="first").update(until_ms=now_ms() - 1)
    assert parts.look(run.pk, "second").share(10) == 10
    Run.objects.filter(pk=run.pk).update(status=RunStatus.PAUSED)
    assert parts.widen(run.pk, "second", 10, 10) == 0
    run.delete()
    assert parts.look(run.pk, "second") == parts.Seen("")


def test_a_long_call_of_a_paused_slice_neither_holds_up_who_resumes_nor_is_cut_short(
    launched: Launched, model: Models, provider: Callable[..., Provider], stub: StubEndpoint,
    alpha_access: Access, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("runs.engine.pump.AFTER_CANCEL_S", 0.5)
    stub.reset(latency_ms=20)
    items = [
        {"prompt": f"{'[[fail:hang]]' if not n else ''} {n}", "references": [str(n)]} for n in range(600)
    ]
    run = launched(items, target=model(provider=provider(timeout_s=20)), concurrency=4, max_failures=1)
    other = Host()
    threads = [threading.Thread(target=_to_end, args=(each, run.pk)) for each in (host(), other)]
    threads[0].start()
    wait_until(lambda: Run.objects.filter(pk=run.pk, done__gt=4).exists(), "the first answers")
    run_pause(alpha_access, run)
    wait_until(lambda: stub.stats.in_flight == 1, "the long call alone")
    run_resume(alpha_access, run)
    time.sleep(1.2)  # the first process looks, and finds the run neither paused nor running
    threads[1].start()
    calls = stub.stats.total
    wait_until(lambda: stub.stats.total > calls + 50, "calls of the second")
    others = Run.objects.filter(pk=run.pk, done=599)
    wait_until(others.exists, "all answers but the long one, also of what the first had leased")
    assert stub.stats.in_flight == 1
    for thread in threads:
        thread.join(60)
    other.stop()
    run = Run.objects.get(pk=run.pk)
    assert (run.status, run.done, run.errored) == (RunStatus.COMPLETED, 599, 1) and check_run(run.pk) == {}
    assert run.attempts.exclude(outcome="ok").get().outcome == "timeout"


def test_items_that_were_not_sent_while_the_leases_seemed_lost_are_given_back(
    launched: Launched, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database answers again just in time: the workers have let go of their items by then."""
    whole, lapsed = Pump._must_not_send, []

    def lapses_once(self: Pump) -> bool:
        renewed = self.renewed
        if self.completed > 20 and len(lapsed) < 5 and asyncio.current_task() in self.workers:
            lapsed.append(self)
            self.renewed -= 1_000
        try:
            return whole(self)
        finally:
            self.renewed = renewed

    monkeypatch.setattr(Pump, "_must_not_send", lapses_once)
    stub.reset(latency_ms=5)
    run = launched(100, concurrency=8)
    thread = threading.Thread(target=_to_end, args=(host(), run.pk), daemon=True)
    thread.start()
    thread.join(60)
    run.refresh_from_db()
    assert len(lapsed) >= 1 and (run.status, run.done) == (RunStatus.COMPLETED, 100)
    assert check_run(run.pk) == {} and stub.stats.total == 100


def test_a_small_run_that_is_resumed_does_not_wait_for_who_held_it_before(
    launched: Launched, alpha_access: Access
) -> None:
    run = launched(10, concurrency=4)
    assert leases.take_run(run.pk, "first") and not leases.take_run(run.pk, "second")
    run_pause(alpha_access, run)
    run_resume(alpha_access, run)
    assert leases.take_run(run.pk, "second") and not leases.take_run(run.pk, "third")


def test_a_run_that_pauses_meanwhile_leaves_standing_what_the_others_count_on(launched: Launched) -> None:
    run = launched(1_200, concurrency=10)
    assert leases.take_run(run.pk, "first")
    database = DatabaseThread()

    async def takes() -> tuple[int, int, int, int]:
        part = Part(database, await database.run(load_plan, run.pk), "first")
        await part.take(0, 6)
        before = part.width, part.stated
        await database.run(leases.pause, run.pk, "Paused meanwhile.")
        await part.take(6, 4)
        return *before, part.width, part.stated

    assert asyncio.run(takes()) == (6, 6, 0, 6)
    database.close()
    assert PumpLease.objects.get(run=run).calls == 6


def test_a_process_whose_hold_is_gone_sends_nothing_more(launched: Launched, stub: StubEndpoint) -> None:
    run = launched(1_200, concurrency=4)
    assert leases.take_run(run.pk, "first") and leases.renew(run.pk, "first")
    PumpLease.objects.filter(run=run).delete()
    assert not leases.renew(run.pk, "first") and parts.widen(run.pk, "first", 4, 4) == 0
