"""Runs beside each other in one process: shares at a provider, and providers that do not stall each other."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from registry.models import Provider, RegisteredModel
from runs.engine import host, leases
from runs.engine.check import check_run
from runs.engine.gates import Gate
from runs.engine.host import run_to_end
from runs.models import Attempt, LogLine, Run, RunStatus
from runs.services import run_cancel
from tests.services import wait_until
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
Providers = Callable[..., Provider]
Models = Callable[..., RegisteredModel]


@contextmanager
def under_way(run: Run, access: Access) -> Iterator[None]:
    """The run executed on another thread until the end of the block, then canceled."""

    def execute() -> None:
        run_to_end(run.pk)
        connection.close()

    thread = threading.Thread(target=execute)
    thread.start()
    try:
        yield
    finally:
        run.refresh_from_db()
        if not run.is_finished:
            run_cancel(access, run)
        thread.join(60)
    assert not thread.is_alive()
    assert check_run(run.pk) == {}


def prompts(word: str, count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"{word} {n} [[answer:{n}]]", "references": [str(n)]} for n in range(count)]


def gate_of(provider: Provider) -> Gate:
    shared = host.host().shared
    assert shared
    return shared.gates._gates[provider.pk]


def test_a_small_run_gets_its_share_at_once(
    launched: Launched, stub: StubEndpoint, provider: Providers, model: Models, alpha_access: Access
) -> None:
    stub.set(latency_ms=50)
    target = model(provider=provider(concurrency=16))
    large = launched(prompts("large", 20_000), target=target)
    with under_way(large, alpha_access):
        wait_until(lambda: stub.stats.total > 160, "the large run's pace")
        small = launched(prompts("small", 60), target=target)
        assert run_to_end(small.pk) == RunStatus.COMPLETED
        sent = [body["messages"][-1]["content"].partition(" ")[0] for body in stub.requests]
    places = [at for at, word in enumerate(sent) if word == "small"]
    at_once, whole = (len(part) / (part[-1] - part[0] + 1) for part in (places[:30], places))
    print(f"the small run's share of the calls: {at_once:.2f} of its first 30, {whole:.2f} over all its time")
    assert len(places) == 60 and at_once > 0.4
    assert whole > 0.25  # it may wait for the database between its batches
    assert stub.stats.max_in_flight <= 16
    large.refresh_from_db()
    assert large.done + large.canceled == 20_000


def test_a_rate_limited_provider_stalls_no_run_of_another(
    launched: Launched, stub: StubEndpoint, provider: Providers, model: Models, alpha_access: Access
) -> None:
    stub.set(retry_after=4)
    limited = launched([{"prompt": f"{n} [[fail:429]]", "references": ["1"]} for n in range(40)])
    with under_way(limited, alpha_access):
        wait_until(lambda: stub.stats.status[429], "the first refusal")
        free = launched(prompts("free", 400), target=model(provider=provider(concurrency=8)))
        assert run_to_end(free.pk) == RunStatus.COMPLETED
        refusals = stub.stats.status[429]
        wait_until(lambda: Run.objects.filter(pk=limited.pk, held_until_ms__gt=0).exists(), "what cards show")
        lines = LogLine.objects.filter(run=limited, level="warn")
        wait_until(lambda: lines.filter(text__startswith="the provider gets no calls").exists(), "its line")
    free.refresh_from_db()
    assert (free.done, free.held_until_ms) == (400, 0)
    assert refusals < 40 * 2  # the door is closed to all of the run's items, not item by item
    assert not Attempt.objects.filter(run=free).exclude(outcome="ok").exists()


def test_the_log_tells_a_hold_and_its_end(
    launched: Launched, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(fail_first=1, fail_mode=["429"], retry_after=3.5, latency_ms=500)
    run = launched(40, concurrency=2)
    with under_way(run, alpha_access):
        wait_until(lambda: stub.stats.status[429], "the refusal")
        stub.set(fail_first=0)
        lines = LogLine.objects.filter(run=run, text__startswith="the provider gets").order_by("pk")
        wait_until(lambda: lines.count() == 2, "both lines")
        first, second = lines.values_list("level", "text")
    assert first[0] == "warn" and first[1].endswith(" s: it asked for a pause")
    assert second == ("info", "the provider gets calls again")
    assert LogLine.objects.filter(run=run, text__startswith="the provider gets").count() == 2


def test_runs_that_wait_for_their_provider_take_no_slot(
    launched: Launched, stub: StubEndpoint, provider: Providers, model: Models, alpha_access: Access,
    settings: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings.ENGINE_SLOTS = 1
    stub.set(retry_after=60)
    limited = launched([{"prompt": "[[fail:429]]", "references": ["1"]}])
    with under_way(limited, alpha_access):
        monkeypatch.setattr(host.host(), "adopting", True)
        wait_until(lambda: stub.stats.status[429], "the refusal")
        free = launched(prompts("free", 20), target=model(provider=provider(concurrency=8)))
        done = Run.objects.filter(pk=free.pk, status=RunStatus.COMPLETED)
        wait_until(done.exists, "the end of a run at another provider")
    held = LogLine.objects.filter(
        run=limited, text="the provider gets no calls for 60 s: it asked for a pause"
    )
    assert held.count() == 1


def test_runs_that_wait_for_their_pace_or_their_next_try_take_no_slot(
    launched: Launched, stub: StubEndpoint, provider: Providers, model: Models, alpha_access: Access,
    settings: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings.ENGINE_SLOTS = 2
    stub.set(retry_after_form="none")
    paced = launched(prompts("paced", 30), target=model(provider=provider(requests_per_minute=1)))
    again = launched([{"prompt": "[[fail:500]]", "references": ["1"]}], max_failures=20)
    with under_way(paced, alpha_access), under_way(again, alpha_access):
        monkeypatch.setattr(host.host(), "adopting", True)
        wait_until(lambda: stub.stats.status[500] > 1 and stub.stats.status[200], "a call of each")
        free = launched(prompts("free", 20), target=model(provider=provider(concurrency=8)))
        done = Run.objects.filter(pk=free.pk, status=RunStatus.COMPLETED)
        wait_until(done.exists, "the end of a run at another provider", 20)


def test_of_runs_that_wait_those_are_adopted_first_that_have_waited_longest(
    launched: Launched, monkeypatch: pytest.MonkeyPatch, alpha_access: Access
) -> None:
    """An import that waits is let in before runs that have had their turn, not before new ones."""
    first, second, third = (launched(1).pk for _ in range(3))
    engine, started = host.Host(), list[int]()
    monkeypatch.setattr(engine, "_start", lambda shared, run_id, slice_s: started.append(run_id))
    try:
        shared = engine.call(engine._ready()).result()
        now = time.monotonic()
        engine._left = {first: now - 10.0, second: now - 20.0}
        engine.call(engine._adopt(shared)).result()
        assert started == [third, second, first]
        started.clear()
        monkeypatch.setattr(leases, "import_waits", lambda: True)
        engine.call(engine._adopt(shared)).result()
        assert started == [third]
        started.clear()
        engine._left[second] -= host.COURTESY_S  # the import cannot begin, perhaps for long
        engine.call(engine._adopt(shared)).result()
        assert started == [third, second]
    finally:
        engine.stop()


def test_places_halve_at_refusals_and_grow_back(
    launched: Launched, stub: StubEndpoint, provider: Providers, model: Models
) -> None:
    stub.set(latency_ms=50, max_in_flight=8, retry_after=0.2)
    door = provider(concurrency=32)
    target = model(provider=door)
    first = launched(prompts("first", 300), target=target)
    assert run_to_end(first.pk) == RunStatus.COMPLETED
    assert gate_of(door).limit <= 16
    assert 0 < stub.stats.status[429] < 150
    first.refresh_from_db()
    assert (first.done, set(first.trials.values_list("failures", flat=True))) == (300, {0})
    stub.reset(latency_ms=10)
    second = launched(prompts("second", 1000), target=target)
    assert run_to_end(second.pk) == RunStatus.COMPLETED
    assert gate_of(door).limit == 32
    assert 16 < stub.stats.max_in_flight <= 32
