"""Ceilings that hold over processes, answers from earlier calls, runs that share and adopt."""

import threading
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from registry.client import Client
from registry.models import Provider, RegisteredModel
from runs.engine import budgets, claiming, leases, parts, recording
from runs.engine.check import check_run
from runs.engine.clock import now_ms
from runs.engine.host import Host, host, run_to_end
from runs.engine.outcomes import Outcome
from runs.engine.plan import load_plan
from runs.engine.pump import LAST_ROUND, Pump
from runs.engine.recorder import RECORD_ENOUGH, RECORD_WITHIN_S, Recorder
from runs.engine.recording import Recorded
from runs.models import MonthlySpend, PumpLease, Run, RunStatus, Trial, TrialState, Worker
from runs.selectors_budget import run_spent
from runs.services import run_cancel, run_resume
from runs.templatetags.budget_ui import spent_words
from tests.runs.disks import fill_disk, make_room
from tests.services import wait_until
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access
from workspaces.models import Workspace

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
Models = Callable[..., RegisteredModel]


def changed(run: Run, **fields: Any) -> Run:
    Run.objects.filter(pk=run.pk).update(**fields)
    return Run.objects.get(pk=run.pk)


def ended(run: Run) -> Run:
    run_to_end(run.pk)
    assert check_run(run.pk) == {}
    return Run.objects.get(pk=run.pk)


def used(run: Run) -> int:
    return run.input_tokens + run.output_tokens


# -- ceilings ----------------------------------------------------------------------------------------


def test_a_token_ceiling_pauses_before_it_is_passed(launched: Launched, stub: StubEndpoint) -> None:
    run = changed(launched(200, concurrency=50, params={"max_tokens": 60}), token_ceiling=3_000)
    run = ended(run)
    assert run.status == RunStatus.PAUSED and 0 < used(run) <= 3_000
    assert 0 < run.done < 200 and stub.stats.total == run.done
    assert "ceiling of 3,000 tokens is reached" in run.status_reason
    assert set(run.trials.values_list("state", flat=True)) == {"done", "pending"}
    assert not run.trials.exclude(reserved_tokens=0).exists()
    changed(run, token_ceiling=None, status=RunStatus.PENDING)
    assert ended(run).status == RunStatus.COMPLETED


def test_a_ceiling_holds_where_the_provider_reports_no_usage(
    launched: Launched, model: Models, stub: StubEndpoint
) -> None:
    stub.set(reports_usage=False)
    target = model(input_price=Decimal("10"), output_price=Decimal("30"))
    run = launched(100, target=target, concurrency=5, params={"max_tokens": 100})
    run = ended(changed(run, cost_ceiling=Decimal("0.02"), token_ceiling=1_000_000))
    assert run.status == RunStatus.PAUSED and run.usage_estimated
    assert run.cost is not None and Decimal("0.01") < run.cost <= Decimal("0.02")
    assert spent_words(run_spent(run)[0]).startswith("about $0.01")
    free = ended(launched(3, target=target))
    assert (free.usage_estimated, free.cost, used(free)) == (False, None, 0)  # no ceiling: nothing is guessed


@pytest.mark.parametrize("ceiling", ["run", "month"])
def test_processes_hold_back_from_one_ceiling(
    ceiling: str, launched: Launched, alpha: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them, at the same moment: together no more than it admits."""
    runs = [launched(10, params={"max_tokens": 100})] * 2
    if ceiling == "month":
        runs[1] = launched(10, params={"max_tokens": 100})
        Workspace.objects.filter(pk=alpha.pk).update(monthly_token_ceiling=600)
        MonthlySpend.objects.create(workspace=alpha, month=timezone.now().date().replace(day=1))
    for run in runs:
        changed(run, status=RunStatus.RUNNING, token_ceiling=600 if ceiling == "run" else None)
    claimed = [leases.claim(run.pk, f"process {place}", 4, True) for place, run in enumerate(runs)]
    hold, found = budgets._hold, list[claiming.Claims]()

    def slowly(held: Any) -> None:
        time.sleep(0.3)
        hold(held)

    monkeypatch.setattr(budgets, "_hold", slowly)

    def prepare(run: Run, trials: Sequence[leases.Claimed]) -> None:
        found.append(claiming.prepare(load_plan(run.pk), trials))
        connection.close()

    threads = [threading.Thread(target=prepare, args=pair) for pair in zip(runs, claimed, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    most = max(work.tokens for claims in found for work in claims.work)
    assert len(found) == 2 and 300 < 4 * most < 600 < 8 * most  # each alone has room for its four
    held = Trial.objects.filter(state=TrialState.LEASED).aggregate(tokens=Sum("reserved_tokens"))["tokens"]
    assert 600 - most < held <= 600 and sum(len(claims.work) for claims in found) == held // most


def test_a_cost_ceiling_pauses_before_it_is_passed(launched: Launched, model: Models) -> None:
    target = model(input_price=Decimal("10"), output_price=Decimal("30"))
    run = launched(100, target=target, concurrency=20, params={"max_tokens": 100})
    run = ended(changed(run, cost_ceiling=Decimal("0.02")))
    assert run.status == RunStatus.PAUSED and run.cost is not None
    assert Decimal(0) < run.cost <= Decimal("0.02")
    assert "ceiling of $0.02 is reached" in run.status_reason


def test_a_months_ceiling_counts_all_runs_of_the_workspace(launched: Launched, alpha: Workspace) -> None:
    first = ended(launched(10))
    spend = MonthlySpend.objects.get(workspace=alpha)
    assert (spend.month, spend.calls) == (timezone.now().date().replace(day=1), 10)
    assert spend.tokens == used(first)
    Workspace.objects.filter(pk=alpha.pk).update(monthly_token_ceiling=spend.tokens + 400)
    second = ended(launched(50, params={"max_tokens": 60}))
    assert second.status == RunStatus.PAUSED and 0 < second.done < 50
    assert "workspace's ceiling" in second.status_reason
    assert used(first) + used(second) <= spend.tokens + 400


def test_what_is_held_back_counts_until_it_is_known(launched: Launched) -> None:
    """Another process's calls in flight count with what they may take at most."""
    run = changed(launched(10), token_ceiling=1_000, status=RunStatus.RUNNING)
    leases.claim(run.pk, "another process", 3, True)
    run.trials.filter(state=TrialState.LEASED).update(reserved_tokens=333)
    stop_soon = threading.Timer(2.5, lambda: run.trials.filter(state="leased").update(reserved_tokens=0))
    Run.objects.filter(pk=run.pk).update(config={**run.config, "params": {"max_tokens": 50}})
    assert _slice(run.pk, 1.5) == 0
    stop_soon.cancel()
    Trial.objects.filter(run=run, state=TrialState.LEASED).update(reserved_tokens=0)
    assert _slice(run.pk, 1.5) > 0


def test_what_is_held_back_counts_after_a_cancel(launched: Launched, alpha_access: Access) -> None:
    """The answers in flight will be paid for, so the workspace has no more to spend meanwhile."""
    run = changed(launched(10), status=RunStatus.RUNNING)
    leases.claim(run.pk, "another process", 3, True)
    run.trials.filter(state=TrialState.LEASED).update(reserved_tokens=333, reserved_cost=Decimal("0.5"))
    held = budgets.Amount(Decimal("1.5"), 999)
    assert budgets.reserved_in(run.workspace_id) == held
    run_cancel(alpha_access, run)
    assert budgets.reserved_in(run.workspace_id) == budgets._reserved(run_id=run.pk) == held
    assert budgets.reserved_in(run.workspace_id + 1) == budgets.Amount()
    run.trials.update(owner="")  # recorded, or lost
    assert budgets.reserved_in(run.workspace_id) == budgets.Amount()


def _slice(run_id: int, seconds: float) -> int:
    """Done after so many seconds of a slice that is then stopped."""
    thread = threading.Thread(target=lambda: (host().pump(run_id, 30), connection.close()))
    thread.start()
    time.sleep(seconds)
    Run.objects.filter(pk=run_id).update(status=RunStatus.PAUSED)
    thread.join(60)
    Run.objects.filter(pk=run_id).update(status=RunStatus.PENDING)
    return Run.objects.get(pk=run_id).done


# -- answers from earlier calls -------------------------------------------------------------------------


def cached(run: Run, **params: Any) -> Run:
    return changed(run, config={**run.config, "cache": True, "params": params})


def test_identical_calls_are_answered_from_the_store(launched: Launched, stub: StubEndpoint) -> None:
    first = ended(cached(launched(20)))
    assert (first.cached, stub.stats.total) == (0, 20)
    version, target = first.dataset_version, first.model
    again = ended(cached(launched(version=version, target=target)))
    assert (again.done, again.cached, stub.stats.total) == (20, 20, 20)
    assert again.attempts.count() == 0 and not again.summary
    for trial in again.trials.all():
        assert (trial.cached, trial.latency_ms, trial.attempt_count) == (True, None, 0)
        assert trial.response == first.trials.get(seq=trial.seq).response
        assert trial.passed == first.trials.get(seq=trial.seq).passed
    assert used(again) == 0


@pytest.mark.parametrize("what", ["not asked for", "params", "epochs", "model", "workspace"])
def test_anything_else_is_asked(
    what: str, launched: Launched, model: Models, stub: StubEndpoint, beta: Workspace
) -> None:
    first = ended(cached(launched(5)))
    target = model(name="stub-model-b") if what == "model" else first.model
    run = launched(version=first.dataset_version, target=target, epochs=2 if what == "epochs" else 1)
    if what != "not asked for":
        run = cached(run, **({"temperature": 1} if what == "params" else {}))
    if what == "workspace":
        Provider.objects.update(workspace=None)  # shared, as the registered model is
        RegisteredModel.objects.update(workspace=None)
        Run.objects.filter(pk=run.pk).update(workspace=beta)
    run = ended(run)
    assert run.cached == (5 if what == "epochs" else 0)  # the second epoch is asked, never the first's answer
    assert stub.stats.total == 10


# -- several processes ----------------------------------------------------------------------------------


def test_the_last_items_are_shared_between_processes(
    launched: Launched, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what is left a process holds no more than its part, however much it could ask; at the very end it
    takes what it can send at once."""
    held = _held(monkeypatch)
    pause = Pump._pause
    monkeypatch.setattr(Pump, "_pause", lambda self, seconds: pause(self, 30))  # it is woken in time
    stub.reset(latency_ms=5)
    run = launched(700, concurrency=8)
    PumpLease.objects.create(run=run, owner="another", until_ms=now_ms() + 600_000)
    assert ended(run).done == 700
    last = LAST_ROUND * 8
    assert len(held) > 5 and all(leased <= -(-left // 2) for leased, left, _ in held if left >= last)
    assert all(asked <= 4 for _, left, asked in held if left < last // 2)  # some end meanwhile


def test_last_items_that_nobody_else_takes_are_taken(
    launched: Launched, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process counts, but has stopped: half of the calls at once, not half of what is left."""
    held, look = _held(monkeypatch), parts.look
    monkeypatch.setattr(parts, "look", lambda *run: look(*run)._replace(pumps=2))
    stub.reset(latency_ms=1_500)
    assert ended(launched(40, concurrency=40)).done == 40
    assert held[0] == (20, 40, 20) and any(leased == left > 0 for leased, left, _ in held)


def _held(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """After each claim: how many trials of the run are leased, how many have not ended, and how many it asked
    for."""
    held: list[tuple[int, int, int]] = []
    claim, look = leases.claim, parts.look

    def watched(run_id: int, owner: str, count: int, *rest: Any) -> list[leases.Claimed]:
        claimed = claim(run_id, owner, count, *rest)
        leased = Trial.objects.filter(run=run_id, state=TrialState.LEASED).count()
        held.append((leased, look(run_id, owner).left, count))
        return claimed

    monkeypatch.setattr(leases, "claim", watched)
    return held


def test_few_answers_wait_for_more_before_they_are_recorded(
    launched: Launched, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where writing is slow, so that answers come meanwhile."""
    batches: list[tuple[float, float, int]] = []
    real = recording.record

    def slow(run_id: int, outcomes: Sequence[Outcome], *rest: Any) -> Recorded:
        began = time.monotonic()
        time.sleep(0.05)
        state = real(run_id, outcomes, *rest)
        batches.append((began, time.monotonic(), len(outcomes)))
        return state

    monkeypatch.setattr(recording, "record", slow)
    monkeypatch.setattr(Recorder, "hurry", lambda self: None)  # whatever is in hand
    stub.reset(latency_ms=10)
    ended(launched(200, concurrency=4))
    assert sum(size for *_, size in batches) == 200 and len(batches) > 2
    for (_, before, _), (began, _, size) in pairwise(batches):
        assert size >= RECORD_ENOUGH or began - before >= RECORD_WITHIN_S


def test_a_small_run_gets_one_process_alone(launched: Launched) -> None:
    run = launched(400)
    assert leases.take_run(run.pk, "one") and not leases.take_run(run.pk, "two")
    assert leases.take_run(run.pk, "one")  # again, after a lost answer of the database


def test_a_process_at_work_adopts_what_nobody_executes(launched: Launched, stub: StubEndpoint) -> None:
    stub.reset(latency_ms=50)
    large = launched(600, concurrency=8)
    small = launched(5, concurrency=8)
    thread = threading.Thread(target=lambda: (host().pump(large.pk, 30, adopts=True), connection.close()))
    thread.start()
    wait_until(lambda: Run.objects.get(pk=small.pk).status == "completed", "the small run's end")
    assert Run.objects.get(pk=large.pk).status == "running"
    Run.objects.filter(pk=large.pk).update(status="paused")
    thread.join(60)


def test_a_process_makes_itself_known_and_leaves(launched: Launched) -> None:
    host().report()
    wait_until(lambda: Worker.objects.exists(), "the report")
    worker = Worker.objects.get()
    assert worker.pid > 0 and worker.memory_mb > 20 and worker.runs == 0
    host().stop()
    assert not Worker.objects.exists()


def test_leases_that_may_have_run_out_send_nothing_more(launched: Launched, stub: StubEndpoint) -> None:
    """As after SIGSTOP: the first look at the clock ends the slice, whatever the answers in flight say."""
    stub.reset(latency_ms=300)
    run = launched(60, concurrency=10)
    thread = threading.Thread(target=lambda: (host().pump(run.pk, 30), connection.close()))
    thread.start()
    wait_until(lambda: stub.stats.total >= 10, "the first calls")
    for pump in host()._pumps.values():
        pump.renewed -= 3_600
    thread.join(60)
    assert stub.stats.total <= 20
    assert not run.trials.filter(state=TrialState.LEASED).exists() and check_run(run.pk) == {}
    assert ended(run).done == 60


def test_a_canceled_runs_calls_in_flight_are_kept(launched: Launched, stub: StubEndpoint) -> None:
    stub.reset(latency_ms=1_500)
    run = launched(40, concurrency=10)
    thread = threading.Thread(target=lambda: (host().pump(run.pk, 30), connection.close()))
    thread.start()
    wait_until(lambda: stub.stats.total == 10, "the first calls")
    with_status = {"status": RunStatus.CANCELED, "finished_at": timezone.now()}
    stopped = run.trials.exclude(state="done").update(state="canceled", owner="")
    Run.objects.filter(pk=run.pk).update(canceled=stopped, **with_status)
    thread.join(60)
    run = Run.objects.get(pk=run.pk)
    assert (run.done, run.canceled, stub.stats.total) == (10, 30, 10) and check_run(run.pk) == {}


def test_a_full_disk_pauses_with_words(launched: Launched, settings: Any) -> None:
    settings.ENGINE_MIN_FREE_MB = 10**9
    run = launched(3)
    assert run_to_end(run.pk) == RunStatus.PAUSED
    assert "Make room" in Run.objects.get(pk=run.pk).status_reason


def test_a_disk_that_fills_up_meanwhile_loses_no_answer(
    launched: Launched, stub: StubEndpoint, alpha_access: Access
) -> None:
    """Calls in flight are paid for: kept until there is room. Nothing more goes out, and the run waits."""
    stub.reset(latency_ms=40, text="A long answer. " * 400 + "ANSWER: 1")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # else pages that earlier tests left free are room
    run, engine = launched(600, concurrency=8), host()
    thread = threading.Thread(target=run_to_end, args=(run.pk,))
    thread.start()
    wait_until(lambda: stub.stats.total > 50, "calls")
    assert engine.shared is not None
    engine.call(engine.shared.database.run(fill_disk)).result()
    try:
        time.sleep(1.0)
        sent = stub.stats.total
        time.sleep(0.5)
        assert stub.stats.total == sent < 600 and Run.objects.get(pk=run.pk).done < sent
    finally:
        engine.call(engine.shared.database.run(make_room)).result()
    thread.join(60)
    stopped = Run.objects.get(pk=run.pk)
    assert (stopped.status, stopped.done) == (RunStatus.PAUSED, sent) and "Make room" in stopped.status_reason
    run_resume(alpha_access, stopped)
    assert run_to_end(run.pk) == RunStatus.COMPLETED
    assert (stub.stats.total, stub.stats.duplicates) == (600, 0) and check_run(run.pk) == {}


def test_clients_of_a_stopped_host_are_closed() -> None:
    process = Host()
    process.report()
    assert process.shared is not None and isinstance(process.shared.client, Client)
    path = process.shared.journal.path
    assert path.exists()
    process.stop()
    assert not path.exists() and not process.thread.is_alive()
