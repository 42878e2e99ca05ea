"""What a run meets at its edges: closed doors, lost files, changed registrations, odd figures, a wipe."""

import asyncio
import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from django.db import connection, transaction
from PIL import Image

from datasets.assets import asset_store
from datasets.models import DatasetVersion, ItemAsset
from datasets.services import InUse, version_delete
from judges.scorers import Subject, Verdict, build_scorer
from judges.scorers.numeric import Numeric
from registry.client import Client
from registry.models import Provider, RegisteredModel
from runs.engine import claiming, leases, pump
from runs.engine.check import check_run
from runs.engine.host import host, run_to_end
from runs.engine.plan import load_plan
from runs.engine.recorder import Recorder
from runs.models import Attempt, LogLine, Run, RunStatus, Score, Trial, TrialState
from runs.services import (
    Launch,
    LaunchProblems,
    launch,
    launch_plan,
    run_cancel,
    run_delete,
    run_pause,
    run_resume,
    run_retry,
)
from tests.services import wait_until
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access, access_for, system_access
from workspaces.models import User, Workspace
from workspaces.services import workspace_delete

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
Make = Callable[..., Any]


def pumping(run: Run, slice_s: float = 30) -> threading.Thread:
    """One slice of the run in a thread of its own."""

    def work() -> None:
        host().pump(run.pk, slice_s)
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wait_for(thread: threading.Thread, seconds: float = 15) -> None:
    thread.join(seconds)
    assert not thread.is_alive()


def states(run: Run) -> set[str]:
    return set(run.trials.values_list("state", flat=True))


# A provider that lets nobody in


@pytest.fixture
def shut_out(launched: Launched, stub: StubEndpoint, model: Make, provider: Make) -> Run:
    """Its provider answers 429 and asks for an hour."""
    stub.set(fail_first=1, fail_mode=["429"], retry_after=3600)
    return launched(10, target=model(provider=provider(concurrency=2)), concurrency=2)


def test_a_pause_does_not_wait_for_a_closed_door(shut_out: Run, alpha_access: Access) -> None:
    thread = pumping(shut_out)
    wait_until(lambda: shut_out.trials.filter(state=TrialState.WAITING).exists(), "the first refusal")
    run_pause(alpha_access, shut_out)
    wait_for(thread)
    assert states(shut_out) == {TrialState.WAITING, TrialState.PENDING}
    untouched = shut_out.trials.filter(state=TrialState.PENDING)
    assert set(untouched.values_list("attempt_count", flat=True)) == {0}


def test_a_slice_ends_at_a_closed_door_while_others_wait(shut_out: Run, launched: Launched) -> None:
    launched(2)
    wait_for(pumping(shut_out, slice_s=1))
    assert TrialState.LEASED not in states(shut_out)


def test_an_endpoint_that_limits_without_saying_how_long_is_given_up(
    launched: Launched, stub: StubEndpoint
) -> None:
    stub.set(fail_rate=1, fail_mode=["429"], retry_after_form="none")
    run = launched(1, max_failures=2)
    run_to_end(run.pk)
    run.refresh_from_db()
    assert (run.status, stub.stats.total) == (RunStatus.FAILED, 2)


# What changed since the launch


def test_an_unusable_configuration_pauses_with_words(launched: Launched, model: Make) -> None:
    run = launched(3, target=model(default_params={"extra_body": ["x"]}))
    assert run_to_end(run.pk) == RunStatus.PAUSED
    run.refresh_from_db()
    assert "cannot be used" in run.status_reason


def test_a_lost_image_costs_its_item_only(
    launched: Launched, model: Make, alpha: Workspace, dataset: Callable[..., DatasetVersion]
) -> None:
    picture = BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "PNG")
    asset, version = asset_store(alpha, picture.getvalue()), dataset(5)
    ItemAsset.objects.create(item=version.items.get(position=2), asset=asset, position=1)
    run = launched(version=version, target=model(capabilities=["vision"]))
    asset.path.unlink()
    run_to_end(run.pk)
    run.refresh_from_db()
    assert (run.done, run.errored, check_run(run.pk)) == (4, 1, {})
    assert "image" in run.trials.get(seq=2).error


def test_a_provider_of_another_workspace_is_not_called(
    launched: Launched, stub: StubEndpoint, model: Make, beta: Workspace
) -> None:
    target: RegisteredModel = model()
    run = launched(3, target=target)
    Provider.objects.filter(pk=target.provider_id).update(workspace=beta)
    assert run_to_end(run.pk) == RunStatus.PAUSED
    assert stub.stats.total == 0


def test_a_canceled_run_asks_its_failed_items_again_and_stays_canceled(
    launched: Launched, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(latency_ms=100)
    rows = [{"prompt": "x [[fail:400]]"}] + [{"prompt": f"{n} [[answer:2]]"} for n in range(60)]
    run = launched(rows, concurrency=2)
    thread = pumping(run)
    wait_until(lambda: run.trials.filter(state=TrialState.ERRORED).exists(), "the failure")
    run_cancel(alpha_access, run)
    wait_for(thread)
    assert run_retry(alpha_access, run) == 1
    run_to_end(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELED and run.canceled and check_run(run.pk) == {}
    assert not states(run) & {TrialState.PENDING, TrialState.LEASED}
    run_resume(alpha_access, run)
    assert run_to_end(run.pk) == RunStatus.COMPLETED


def test_pause_and_resume_do_not_double_the_calls_in_flight(
    launched: Launched, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(latency_ms=200)
    run = launched(100, concurrency=4)
    threads = []
    for _ in range(3):
        threads.append(pumping(run))
        time.sleep(0.4)
        run_pause(alpha_access, run)
        run_resume(alpha_access, run)
    run_cancel(alpha_access, run)
    for thread in threads:
        wait_for(thread)
    assert stub.stats.max_in_flight <= 4


def test_a_workspace_is_deleted_under_a_live_run(
    launched: Launched, stub: StubEndpoint, alpha: Workspace, alpha_access: Access
) -> None:
    stub.set(latency_ms=5)
    run = launched(2000)
    thread = pumping(run)
    wait_until(lambda: Run.objects.filter(pk=run.pk, done__gt=50).exists(), "the first items")
    workspace_delete(alpha_access)
    wait_for(thread)
    assert not any(table.objects.exists() for table in (Trial, Attempt, Score, LogLine))


def test_no_call_is_put_on_record_of_a_run_that_is_being_deleted(
    launched: Launched, alpha_access: Access
) -> None:
    run = launched(5)
    assert leases.take_run(run.pk, "one")
    plan, claimed = load_plan(run.pk), leases.claim(run.pk, "one", 5, calls=True)
    thread = threading.Thread(target=lambda: (claiming.prepare(plan, claimed), connection.close()))
    with transaction.atomic():
        run_delete(alpha_access, Run.objects.get(pk=run.pk))
        thread.start()
        time.sleep(0.3)
    wait_for(thread)
    assert not Attempt.objects.exists()


# Odd figures and slow scorers


def test_usage_beyond_belief_costs_nothing(
    launched: Launched, model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = Client.complete

    async def boasting(self: Client, *args: Any) -> Any:
        return dataclasses.replace(await complete(self, *args), input_tokens=2**31 - 1)

    monkeypatch.setattr(Client, "complete", boasting)
    run = launched(2, target=model(input_price=Decimal(999_999), output_price=Decimal(1)))
    assert run_to_end(run.pk) == RunStatus.COMPLETED
    assert set(run.trials.values_list("cost", flat=True)) == {None}


def test_a_slow_pattern_leaves_the_loop_to_other_runs(launched: Launched) -> None:
    """Its verdicts take half a second each."""
    slow = {"key": "regex", "options": {"pattern": "(a+)+$", "compare": "found"}}
    rows = [{"prompt": f"{n}? [[answer:{'a' * 40}!]]", "references": ["x"]} for n in range(4)]
    thread = pumping(launched(rows, scorers=[slow]))
    worst = 0.0

    async def lag() -> float:
        began = time.monotonic()
        await asyncio.sleep(0)
        return time.monotonic() - began

    while thread.is_alive():
        began = time.monotonic()
        host().call(lag()).result()
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.02)
    assert worst < 0.4


# Launching


def test_the_forecast_knows_only_this_workspace(
    launched: Launched, model: Make, provider: Make, dataset: Make, beta: Workspace
) -> None:
    shared = model(
        workspace=None, provider=provider(workspace=None), input_price=Decimal(1), output_price=Decimal(1)
    )
    run_to_end(launched(5, target=shared).pk)
    version = dataset(3, workspace=beta)
    wish = Launch(dataset_version_id=version.pk, model_ids=[shared.pk], scorers=[{"key": "numeric"}])
    plan = launch_plan(system_access(beta), wish)
    assert plan.duration_s is None and "past" not in plan.cost_basis


def test_the_cost_has_a_band_that_past_answers_narrow(
    launched: Launched, model: Make, alpha: Workspace, editor: User
) -> None:
    """From a quarter to four times of what is assumed; then around the shortest and longest of past runs."""
    priced = model(input_price=Decimal(0), output_price=Decimal(1000))
    run = launched(4, target=priced)
    wish = Launch(
        dataset_version_id=run.dataset_version_id, model_ids=[priced.pk], scorers=[{"key": "numeric"}]
    )
    access = access_for(editor, "alpha")
    least, most = launch_plan(access, wish).cost_band or (0, 0)
    assert (1000 * least, 1000 * most) == (4 * 64, 4 * 1024)
    least, most = launch_plan(access, replace(wish, params={"max_tokens": 100})).cost_band or (0, 0)
    assert (1000 * least, 1000 * most) == (4 * 25, 4 * 100)
    Run.objects.filter(pk=run.pk).update(done=4, output_tokens=40)
    Run.objects.filter(pk=launched(2, target=priced).pk).update(done=2, output_tokens=40)
    plan = launch_plan(access, wish)
    assert plan.cost_band == (Decimal("0.032"), Decimal("0.1"))
    assert plan.cost is not None and plan.cost.quantize(Decimal("0.0001")) == Decimal("0.0533")
    assert plan.cost_basis.startswith("from past")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", -5),
        ("epochs", 10**300),
        ("limit", 10**30),
        ("epochs", -(10**30)),
        ("concurrency", 10**30),
        ("params", {"max_tokens": 10**30}),
        ("params", {"extra_body": {"a": "\0"}}),
        ("params", {"stop": ["\ud800"]}),
        ("params", {"extra_body": {"a": float("nan")}}),
    ],
)
def test_what_cannot_be_launched_is_a_problem_and_no_fault(
    field: str, value: Any, alpha_access: Access, dataset: Make, model: Make
) -> None:
    wish = Launch(dataset_version_id=dataset(3).pk, model_ids=[model().pk], scorers=[{"key": "numeric"}])
    with pytest.raises(LaunchProblems):
        launch(alpha_access, dataclasses.replace(wish, **{field: value}))


def test_a_key_in_the_address_is_not_frozen_with_the_run(
    launched: Launched, model: Make, provider: Make, stub: StubEndpoint
) -> None:
    run = launched(1, target=model(provider=provider(base_url=f"{stub.base_url}?api-key=hush-hush")))
    assert run.config["model"]["base_url"] == stub.base_url


def test_a_version_deleted_during_the_launch_makes_no_run(
    launched: Launched, alpha_access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = launched(2)
    version, plan_of = first.dataset_version, launch_plan

    def plan_then_delete(access: Access, wish: Launch) -> Any:
        plan = plan_of(access, wish)
        DatasetVersion.objects.filter(pk=version.pk).update(ready_at=None)
        return plan

    monkeypatch.setattr(sys.modules[launch.__module__], "launch_plan", plan_then_delete)
    with pytest.raises(LaunchProblems, match="deleted just now"):
        launched(version=version, target=first.model)
    assert Run.objects.get() == first and Trial.objects.count() == 2


def test_deleting_a_version_waits_for_a_launch_under_way(
    launched: Launched, dataset: Callable[..., DatasetVersion], alpha_access: Access
) -> None:
    """Its trials are not seen before it ends, and no key of the database holds their items."""
    version, refused = dataset(3), list[str]()

    def delete() -> None:
        try:
            version_delete(alpha_access, version)
        except InUse as error:
            refused.append(str(error))
        connection.close()

    thread = threading.Thread(target=delete)
    with transaction.atomic():
        run = launched(version=version)
        thread.start()
        time.sleep(0.5)
        assert thread.is_alive()
    wait_for(thread)
    assert len(refused) == 1 and "used by 1 run" in refused[0]
    assert run_to_end(run.pk) == RunStatus.COMPLETED and version.items.count() == 3


@pytest.mark.parametrize("scorer", ["numeric", "regex"])
def test_a_scorer_that_fails_costs_no_response(
    launched: Callable[..., Run], stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch, scorer: str
) -> None:
    """On the database thread, or on one of its own where it may take long."""
    options = {"pattern": "x"} if scorer == "regex" else {}
    run = launched(6, scorers=[{"key": scorer, "options": options}])
    kind = type(build_scorer(scorer, options))
    whole = kind.score

    def fails_now_and_then(self: Any, subject: Subject) -> Verdict:
        if "4" in subject.references:
            raise ArithmeticError("too odd")
        return whole(self, subject)

    monkeypatch.setattr(kind, "score", fails_now_and_then)
    run_to_end(run.pk)
    run.refresh_from_db()
    assert (run.status, run.done, run.errored, check_run(run.pk)) == (RunStatus.COMPLETED, 6, 0, {})
    assert not run.trials.filter(response="").exists()
    failed = Score.objects.filter(run=run, unscored_reason="the scorer failed")
    assert [(score.value, score.explanation) for score in failed] == [(None, "ArithmeticError('too odd')")]


@pytest.mark.parametrize("blocks", [False, True])
def test_slow_scorers_hold_nothing_up(
    launched: Launched, dataset: Make, monkeypatch: pytest.MonkeyPatch, blocks: bool
) -> None:
    """Recorded responses come all at once. The database thread is free, what is scored is recorded, and no
    more is claimed than can wait."""
    whole, record, waiting = Numeric.score, Recorder._record, list[int]()

    def slow(self: Numeric, subject: Subject) -> Verdict:
        assert "engine-database" not in threading.current_thread().name
        time.sleep(0.02)
        return whole(self, subject)

    async def counted(self: Recorder) -> None:
        waiting.append(len(self.outcomes))
        await record(self)

    monkeypatch.setattr(Numeric, "score", slow)
    monkeypatch.setattr(Numeric, "blocks", blocks)
    monkeypatch.setattr(Recorder, "_record", counted)
    monkeypatch.setattr(pump, "BEHIND_MOST", 20)
    items = [{"prompt": "?", "references": ["4"], "responses": {"old": "ANSWER: 4"}} for _ in range(120)]
    version = dataset(items, response_models=["old"], upload_type="query_response")
    run = launched(version=version, model_ids=[], recorded_names=["old"], responses="recorded", concurrency=4)
    run_to_end(run.pk)
    run.refresh_from_db()
    assert (run.status, run.done, check_run(run.pk)) == (RunStatus.COMPLETED, 120, {})
    assert run.trials.filter(passed=True).count() == 120
    may_wait = 20 + 4 + 64  # behind, in flight, leased ahead
    assert len(waiting) >= 6 and max(waiting) <= may_wait


def test_answers_that_are_being_scored_when_the_slice_is_cut_short_are_recorded(
    launched: Launched, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Numeric.score

    def slow(self: Numeric, subject: Subject) -> Verdict:
        time.sleep(0.1)
        return whole(self, subject)

    monkeypatch.setattr(Numeric, "score", slow)
    monkeypatch.setattr(Numeric, "blocks", True)
    run = launched(40, concurrency=40)
    thread = threading.Thread(target=run_to_end, args=[run.pk])
    thread.start()
    wait_until(lambda: stub.stats.total == 40, "all calls")
    wait_until(lambda: run.trials.filter(state=TrialState.DONE).exists(), "the first answer on record")
    host().stop()
    wait_for(thread)
    run.refresh_from_db()
    assert (run.done, check_run(run.pk)) == (40, {})
    assert not Attempt.objects.filter(run=run).exclude(outcome="ok").exists()
