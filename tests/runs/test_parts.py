"""Processes that execute a run together have no more of its calls in flight than it may have."""

import threading
import time
from collections.abc import Callable

import pytest
from django.db import connection

from registry.models import Provider, RegisteredModel
from runs.engine import leases, parts
from runs.engine.check import check_run
from runs.engine.clock import now_ms
from runs.engine.host import Host, host
from runs.models import PumpLease, Run, RunStatus
from tests.services import wait_until
from tests.stub_endpoint import StubEndpoint

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
    while Run.objects.filter(pk=run_id, status__in=("pending", "running")).exists():
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
    both, take_run = threading.Barrier(2, timeout=10), leases.take_run

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
    assert seen == ("running", 2, 1, 8) and seen.share(10) == 2
    assert parts.widen(run.pk, "second", 5, 10) == 2
    parts.narrow(run.pk, "first", 5)
    assert parts.widen(run.pk, "second", 5, 10) == 5
    PumpLease.objects.filter(owner="first").update(until_ms=now_ms() - 1)
    assert parts.look(run.pk, "second").share(10) == 10
    Run.objects.filter(pk=run.pk).update(status=RunStatus.PAUSED)
    assert parts.widen(run.pk, "second", 10, 10) == 0
    run.delete()
    assert parts.look(run.pk, "second") == parts.Seen("")
