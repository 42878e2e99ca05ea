"""The engine against a real endpoint: every way a call can end, and what is on record afterwards."""

import subprocess
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from django.db import connection

from datasets.models import DatasetVersion, Item
from registry.models import Provider, RegisteredModel
from runs.engine import journal, leases, owners, recovery
from runs.engine.check import check_run
from runs.engine.clock import now_ms
from runs.engine.host import run_to_end
from runs.engine.outcomes import Outcome
from runs.engine.recording import record
from runs.metrics import elapsed_s, run_metrics
from runs.models import Attempt, GridCell, LogLine, PumpLease, Run, RunStatus, Score, Trial, TrialState
from runs.services import CannotDo, run_cancel, run_delete, run_pause, run_resume, run_retry
from tests.services import free_port, wait_until
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access
from workspaces.models import AuditEvent

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]


def finished(run: Run) -> Run:
    """The run executed to its end; its counters must agree with its rows."""
    run_to_end(run.pk)
    run.refresh_from_db()
    assert check_run(run.pk) == {}
    return run


def test_every_item_is_asked_once_scored_and_counted(launched: Launched, stub: StubEndpoint) -> None:
    run = finished(launched(25))
    assert (run.status, run.done, run.errored) == (RunStatus.COMPLETED, 25, 0)
    assert stub.stats.total == 25
    assert Attempt.objects.filter(run=run, outcome="ok", finished_at__isnull=False).count() == 25
    assert Score.objects.filter(run=run, passed=True).count() == 25
    assert run.started_at and run.finished_at and run.output_tokens > 0
    assert run.summary["latency"]["n"] == 25


def test_accuracy_and_sections_follow_the_answers(launched: Launched, stub: StubEndpoint) -> None:
    stub.set(accuracy=0.5)
    run = finished(launched(60))
    right = Trial.objects.filter(run=run, passed=True).count()
    accuracy = next(metric for metric in run_metrics(run) if metric.key == "accuracy")
    assert 10 < right < 50
    assert (accuracy.correct, accuracy.n, accuracy.value) == (right, 60, pytest.approx(right / 60))
    assert {tally.section: tally.scored for tally in run.tallies.all()} == {"odd": 30, "even": 30}


def test_an_attempt_begins_when_its_call_goes_out(launched: Launched, stub: StubEndpoint) -> None:
    """Not when it was leased: with one call at a time, each begins after the one before has ended."""
    stub.set(latency_ms=150)
    run = finished(launched(3, concurrency=1))
    began = list(Attempt.objects.filter(run=run).order_by("started_at").values_list("started_at", flat=True))
    gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(began)]
    assert len(gaps) == 2 and min(gaps) >= 0.145


def test_epochs_ask_every_item_again(launched: Launched, stub: StubEndpoint) -> None:
    run = finished(launched(6, epochs=3))
    assert run.total == run.done == stub.stats.total == 18
    assert list(run.trials.filter(item__position=2).values_list("seq", "epoch")) == [(4, 1), (5, 2), (6, 3)]


@pytest.mark.parametrize("mode", ["500", "503", "malformed", "empty", "disconnect", "reset"])
def test_a_passing_fault_is_tried_again(mode: str, launched: Launched, stub: StubEndpoint) -> None:
    stub.set(fail_first=1, fail_mode=[mode], retry_after=0.05)
    run = finished(launched(3))
    assert (run.status, run.done, run.retried) == (RunStatus.COMPLETED, 3, 3)
    assert Attempt.objects.filter(run=run).count() == 6 == stub.stats.total
    assert run.log_lines.filter(level="warn").count() == 3


def test_what_cannot_be_mended_is_errored_and_counted_apart(launched: Launched, stub: StubEndpoint) -> None:
    items = [
        {"prompt": "1 + 1? [[answer:2]]", "references": ["2"]},
        {"prompt": "2 + 2? [[fail:400]]", "references": ["4"]},
    ]
    run = finished(launched(items))
    errored = run.trials.get(state=TrialState.ERRORED)
    accuracy = next(metric for metric in run_metrics(run) if metric.key == "accuracy")
    assert (run.status, run.done, run.errored) == (RunStatus.COMPLETED, 1, 1)
    assert (errored.error_kind, errored.attempt_count) == ("bad_request", 1)
    assert (accuracy.n, accuracy.correct) == (1, 1)
    assert "1 errored" in accuracy.note
    assert GridCell.objects.get(run=run, cell=1).errored == 1


def test_attempts_are_limited(launched: Launched, stub: StubEndpoint) -> None:
    run = finished(launched([{"prompt": "[[fail:500]]", "references": ["1"]}], max_failures=2))
    assert (run.status, run.errored, stub.stats.total) == (RunStatus.FAILED, 1, 2)


@pytest.mark.parametrize("wait_s", [0.1, 0])  # none is left of a date in the same second
def test_retry_after_is_obeyed_without_using_up_attempts(
    wait_s: float, launched: Launched, stub: StubEndpoint
) -> None:
    stub.set(fail_first=4, fail_mode=["429"], retry_after=wait_s)
    run = finished(launched(2, max_failures=1))
    assert (run.status, run.done) == (RunStatus.COMPLETED, 2)
    assert set(run.trials.values_list("failures", flat=True)) == {0}
    limited = Attempt.objects.filter(run=run, outcome="rate_limited", retry_after_ms=1000 * wait_s)
    assert limited.count() == 8 and not limited.filter(wait_ms__lt=1000 * wait_s or 500).exists()


def test_a_refused_key_pauses_the_run_with_words(
    launched: Launched,
    stub: StubEndpoint,
    provider: Callable[..., Provider],
    model: Callable[..., RegisteredModel],
    alpha_access: Access,
) -> None:  # fmt: skip
    stub.set(api_key="right")
    door = provider(api_key="wrong", concurrency=2)
    run = launched(20, target=model(provider=door))
    assert run_to_end(run.pk) == RunStatus.PAUSED
    run.refresh_from_db()
    assert "refused the key" in run.status_reason and "resume" in run.status_reason
    assert stub.stats.total <= 4 and run.terminal == 0 and check_run(run.pk) == {}
    refused = Attempt.objects.filter(run=run, outcome="unauthorized", status_code=401)
    assert refused.count() == stub.stats.total == run.attempts.count()
    assert run.log_lines.filter(level="error", text__endswith="the run waits (attempt 1)").exists()
    door.api_key = "right"
    door.save(update_fields=["api_key"])
    run_resume(alpha_access, run)
    assert finished(run).done == 20


def test_the_run_says_at_once_that_it_waits_for_a_person(
    launched: Launched,
    stub: StubEndpoint,
    provider: Callable[..., Provider],
    model: Callable[..., RegisteredModel],
) -> None:
    """Though another call is out for long."""
    stub.set(latency_ms=50)
    prompts = [{"prompt": f"[[fail:{mode}]]", "references": ["1"]} for mode in ("hang", "401", "401")]
    run = launched(prompts, target=model(provider=provider(timeout_s=8)), concurrency=2)
    thread = threading.Thread(target=lambda: (run_to_end(run.pk), connection.close()))
    thread.start()
    wait_until(lambda: Run.objects.get(pk=run.pk).status == RunStatus.PAUSED, "the pause", 5)
    assert run.trials.get(seq=1).state == "leased"  # the slow call is still out
    thread.join(30)
    run.refresh_from_db()
    assert (run.status, stub.stats.total) == (RunStatus.PAUSED, 2)
    assert {*run.attempts.values_list("outcome", flat=True)} == {"timeout", "unauthorized"}
    assert run.log_lines.filter(text__startswith="paused").count() == 1 and check_run(run.pk) == {}


def test_a_key_that_may_not_pauses_the_run_with_words(launched: Launched, stub: StubEndpoint) -> None:
    stub.set(fail_rate=1.0, fail_mode=["403"])
    run = launched(20, concurrency=2)
    assert run_to_end(run.pk) == RunStatus.PAUSED
    run.refresh_from_db()
    assert "403" in run.status_reason and "resume" in run.status_reason
    assert stub.stats.total <= 4 and run.terminal == 0 and check_run(run.pk) == {}


def test_retry_asks_only_the_failed_items_again(
    launched: Launched, stub: StubEndpoint, alpha_access: Access
) -> None:
    items = [{"prompt": f"{n} [[answer:{n}]]", "references": [str(n)]} for n in range(5)]
    items[3]["prompt"] = "3 [[fail:400]]"
    run = finished(launched(items))
    before = stub.stats.total
    Item.objects.filter(prompt__contains="fail").update(prompt="3 [[answer:3]]")
    assert run_retry(alpha_access, run) == 1
    run = finished(run)
    assert (run.done, run.errored, stub.stats.total - before) == (5, 0, 1)
    with pytest.raises(CannotDo):
        run_retry(alpha_access, run)


def test_cancel_keeps_what_is_done_and_resume_does_the_rest(
    launched: Launched, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(latency_ms=30)
    run = launched(200, concurrency=4)
    canceler = threading.Timer(0.6, cancel_elsewhere, (alpha_access, run))
    canceler.start()
    assert run_to_end(run.pk) == RunStatus.CANCELED
    canceler.join()
    run.refresh_from_db()
    assert 0 < run.done < 200 and run.done + run.canceled == 200 and check_run(run.pk) == {}
    asked, done = stub.stats.total, run.done
    assert asked - done <= 4  # in flight; what was answered is kept
    run_resume(alpha_access, run)
    stub.set(latency_ms=0)
    run = finished(run)
    assert (run.status, run.done, run.canceled) == (RunStatus.COMPLETED, 200, 0)
    assert stub.stats.total - asked == 200 - done


def cancel_elsewhere(access: Access, run: Run) -> None:
    """From another thread, as a page would, with that thread's connection closed after."""
    run_cancel(access, run)
    connection.close()


def test_pause_finishes_what_is_in_flight(launched: Launched, alpha_access: Access) -> None:
    run = launched(5)
    run_pause(alpha_access, run)
    assert run_to_end(run.pk) == RunStatus.PAUSED
    run_resume(alpha_access, run)
    assert finished(run).done == 5


def test_a_lost_lease_goes_back_and_its_late_write_is_dropped(launched: Launched, stub: StubEndpoint) -> None:
    run = launched(3)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    claimed = claimed_by(run, "dead worker", 2)
    assert [trial.seq for trial in claimed] == [1, 2]
    expire_leases()
    assert recovery.sweep() == [run.pk]
    assert Attempt.objects.filter(run=run, outcome="lost").count() == 2
    told = "a worker was lost; 2 items that it held go back to the queue, 2 of them in flight"
    assert LogLine.objects.filter(run=run, level="warn", text=told).count() == 1
    assert finished(run).done == 3
    assert set(run.trials.values_list("crashes", flat=True)) == {0, 1}


def claimed_by(run: Run, owner: str, count: int) -> list[leases.Claimed]:
    """Leased, with their calls on record, as before they go out."""
    claimed = leases.claim(run.pk, owner, count, True)
    leases.open_attempts(claimed)
    return claimed


def test_what_a_dead_process_never_began_is_no_crash(launched: Launched) -> None:
    run = launched(3)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    kept = journal.Journal("killed worker")
    begun, *_ = claimed_by(run, "killed worker", 3)
    kept.begin(begun.id, begun.fence)
    expire_leases()
    recovery.sweep()
    kept.close()
    rows = run.trials.order_by("seq").values_list("state", "crashes", "attempt_count")
    assert list(rows) == [("pending", 1, 1), ("pending", 0, 0), ("pending", 0, 0)]
    assert list(Attempt.objects.values_list("trial", "outcome")) == [(begun.id, "lost")]


def test_suspects_of_a_crash_go_out_in_thinning_company(launched: Launched) -> None:
    run = launched(30)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    run.trials.filter(seq__lte=20).update(crashes=1)
    run.trials.filter(seq__lte=3).update(crashes=2)
    first = leases.claim(run.pk, "worker", 10, True, suspects=4)
    assert [trial.seq for trial in first] == list(range(21, 31))  # those above suspicion first
    assert [trial.seq for trial in leases.claim(run.pk, "worker", 10, True, suspects=4)] == [1, 4, 5, 6, 7]
    assert leases.claim(run.pk, "worker", 10, True, suspects=4) == []


def expire_leases() -> None:
    """As if their holders had been silent for longer than a lease."""
    Trial.objects.filter(state=TrialState.LEASED).update(lease_until_ms=0)
    PumpLease.objects.all().delete()


def test_leases_of_a_dead_process_end_at_once(launched: Launched) -> None:
    run = launched(2)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    child = subprocess.Popen(["true"])
    child.wait()
    claimed_by(run, f"{owners.machine()}:{child.pid}:gone", 1)
    claimed_by(run, owners.new_owner(), 1)
    recovery.sweep()
    assert list(run.trials.order_by("seq").values_list("state", "crashes")) == [("pending", 1), ("leased", 0)]


def test_a_late_write_changes_nothing(launched: Launched) -> None:
    run = launched(2)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    stale = claimed_by(run, "slow worker", 1)[0]
    expire_leases()
    recovery.sweep()
    state = record(run.pk, [Outcome(stale, "done", response="late")], True)
    assert (state.written, state.dropped) == (0, 1)
    assert run.trials.get(seq=1).response == "" and check_run(run.pk) == {}
    assert run.log_lines.filter(text__contains="late answers dropped").exists()


def test_three_crashes_make_an_item_poison(launched: Launched) -> None:
    run = launched(1)
    for _ in range(3):
        Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
        assert len(claimed_by(run, "crasher", 1)) == 1
        expire_leases()
        recovery.sweep()
    run = finished(run)
    assert (run.status, run.errored) == (RunStatus.FAILED, 1)
    assert "died three times" in run.trials.get().error


def test_what_was_claimed_but_not_sent_goes_back_untouched(launched: Launched) -> None:
    run = launched(4)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    claimed = claimed_by(run, "worker", 3)
    leases.give_back(run.pk, claimed, True)
    assert Attempt.objects.filter(run=run).count() == 0
    assert set(run.trials.values_list("state", "attempt_count")) == {("pending", 0)}


def test_delete_removes_everything_but_the_audit_line(launched: Launched, alpha_access: Access) -> None:
    run = finished(launched(5))
    run_delete(alpha_access, run)
    assert not Run.objects.exists() and not Trial.objects.exists() and not Attempt.objects.exists()
    assert not Score.objects.exists() and not GridCell.objects.exists()
    assert AuditEvent.objects.filter(action="run.delete", target__contains=str(run.pk)).exists()


def test_recorded_responses_are_scored_without_calls(
    launched: Launched, stub: StubEndpoint, dataset: Callable[..., DatasetVersion]
) -> None:
    items = [
        {"prompt": "a", "references": ["1"], "responses": {"old model": "ANSWER: 1"}},
        {"prompt": "b", "references": ["2"], "responses": {"old model": "ANSWER: 9"}},
        {"prompt": "c", "references": ["3"], "responses": {}},
    ]
    version = dataset(items, response_models=["old model"], upload_type="query_response")
    run = finished(
        launched(version=version, model_ids=[], recorded_names=["old model"], responses="recorded")
    )
    assert (run.done, run.errored, stub.stats.total) == (2, 1, 0)
    assert list(run.trials.order_by("seq").values_list("passed", flat=True)) == [True, False, None]
    assert run.trials.get(seq=3).error_kind == "not_recorded"


def test_streamed_answers_arrive_whole(launched: Launched, model: Callable[..., RegisteredModel]) -> None:
    run = finished(launched(4, target=model(capabilities=["streaming"])))
    assert run.done == 4
    assert all(trial.first_token_ms is not None for trial in run.trials.all())


def test_cost_follows_prices_and_usage(launched: Launched, model: Callable[..., RegisteredModel]) -> None:
    run = finished(launched(3, target=model(input_price="2.5", output_price="10")))
    expected = sum(trial.input_tokens * 25 + trial.output_tokens * 100 for trial in run.trials.all())
    assert run.cost is not None and round(run.cost * 10_000_000) == expected


def test_an_endpoint_that_never_answers_pauses_the_run(
    launched: Launched, model: Callable[..., RegisteredModel], provider: Callable[..., Provider]
) -> None:
    closed = provider(base_url=f"http://127.0.0.1:{free_port()}/v1")
    run = launched(60, target=model(provider=closed))
    assert run_to_end(run.pk) == RunStatus.PAUSED
    run.refresh_from_db()
    assert "not answered a single call" in run.status_reason and "resume" in run.status_reason
    assert run.terminal == 0 and check_run(run.pk) == {}


def test_time_between_spans_of_work_is_no_duration(
    launched: Launched, stub: StubEndpoint, alpha_access: Access
) -> None:
    run = finished(launched([{"prompt": "[[fail:400]]", "references": ["1"]}]))
    first = run.worked_ms
    time.sleep(1.2)
    run_retry(alpha_access, run)
    run = finished(run)
    assert run.working_since_ms == 0
    assert first <= run.worked_ms == (elapsed_s(run) or 0) * 1000
    assert run.finished_at and run.started_at
    assert run.worked_ms < (run.finished_at - run.started_at).total_seconds() * 1000 - 1000


def test_the_end_of_a_slice_drops_nothing(launched: Launched, stub: StubEndpoint) -> None:
    stub.set(latency_ms=5)
    run = finished(launched(400, concurrency=32))
    assert run.done == 400
    assert not run.log_lines.filter(text__contains="dropped").exists()


def test_calls_in_flight_at_the_cancel_of_a_lost_worker_end(launched: Launched, alpha_access: Access) -> None:
    run = launched(3)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    claimed_by(run, "lost worker", 2)
    run_cancel(alpha_access, run)
    attempts = Attempt.objects.filter(run=run)
    recovery.sweep()
    assert set(attempts.values_list("outcome", flat=True)) == {"open"}  # it may still say what came of them
    run.trials.update(lease_until_ms=0)
    for _ in range(2):
        recovery.sweep()
    assert set(attempts.values_list("outcome", flat=True)) == {"lost"}
    assert all(attempts.values_list("finished_at", flat=True)) and not run.trials.exclude(owner="").exists()
    assert (
        run.log_lines.filter(text__contains="2 calls were in flight when the run was canceled").count() == 1
    )
    run_resume(alpha_access, run)
    assert finished(run).done == 3


def test_a_call_that_outlasts_its_lease_after_a_cancel_is_kept(
    launched: Launched, alpha_access: Access
) -> None:
    """Its worker lives and says so: what the call is answered is paid for."""
    run = launched(3)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    PumpLease.objects.create(run=run, owner="at work", until_ms=now_ms() + 600_000)
    [first, second] = claimed_by(run, "at work", 2)
    run_cancel(alpha_access, run)
    run.trials.update(lease_until_ms=1)
    assert leases.renew(run.pk, "at work")
    recovery.sweep()
    assert set(Attempt.objects.filter(run=run).values_list("outcome", flat=True)) == {"open"}
    record(run.pk, [Outcome(first, "done"), Outcome(second, "done")], True)
    run.refresh_from_db()
    assert (run.status, run.done, run.canceled) == (RunStatus.CANCELED, 2, 1) and check_run(run.pk) == {}


def test_a_canceled_call_without_an_answer_lets_go_of_its_item(
    launched: Launched, alpha_access: Access
) -> None:
    run = launched(3)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    [timed_out, stopped] = claimed_by(run, "at work", 2)
    run.trials.filter(state="leased").update(reserved_tokens=10)
    run_cancel(alpha_access, run)
    ends = [Outcome(timed_out, "waiting", "timeout", delay_ms=5), Outcome(stopped, "pending", "aborted")]
    record(run.pk, ends, True)
    assert set(run.trials.values_list("state", "owner", "reserved_tokens")) == {("canceled", "", 0)}
    assert set(run.attempts.values_list("outcome", flat=True)) == {"timeout", "aborted"}
    run.refresh_from_db()
    assert run.canceled == 3 and check_run(run.pk) == {}


def test_an_answer_to_a_canceled_call_is_kept_though_the_run_goes_on(
    launched: Launched, alpha_access: Access
) -> None:
    """Its failed items are asked again meanwhile; what was canceled stays so."""
    run = launched(3)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    [failed, out] = claimed_by(run, "at work", 2)
    record(run.pk, [Outcome(failed, "errored", "bad_request", error_kind="bad_request")], True)
    run_cancel(alpha_access, run)
    run_retry(alpha_access, run)
    record(run.pk, [Outcome(out, "done")], True)
    run.refresh_from_db()
    assert (run.status, run.done, run.canceled) == (RunStatus.PENDING, 1, 1) and check_run(run.pk) == {}
    assert not run.trials.exclude(owner="").exists()


def test_a_refusal_closes_no_door_to_who_has_mended_it(
    launched: Launched, stub: StubEndpoint, alpha_access: Access
) -> None:
    """Also one that says to wait for an hour: once the key is mended, resume means now."""
    stub.set(fail_first=1, fail_mode=["401"], retry_after=3_600)
    run = launched(1)
    assert run_to_end(run.pk) == RunStatus.PAUSED
    run_resume(alpha_access, run)
    began = time.monotonic()
    assert finished(run).done == 1 and time.monotonic() - began < 30
    assert run.attempts.filter(outcome="unauthorized", retry_after_ms=3_600_000).count() == 1
