"""Large launches, whose trials the first worker makes."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test import Client

from analysis.outcomes import sections_of
from datasets.models import Item
from runs.engine import leases, making
from runs.engine.check import check_run
from runs.engine.host import host, run_to_end
from runs.engine.making import make_trials
from runs.models import Evaluation, LogLine, Run, RunStatus, Trial
from runs.services import run_cancel, run_delete, run_resume
from runs.tasks import pump, sweep
from tests.runs.disks import fill_disk, make_room
from tests.services import wait_until
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access
from workspaces.models import User

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
COLUMNS = ("seq", "item", "epoch", "section")
ITEMS = [
    {"prompt": f"{n} [[answer:{n}]]", "references": [str(n)], "section": "abc"[n % 3]} for n in range(30)
]


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "MADE_AT_ONCE", 10)


def ended(run: Run, status: str = RunStatus.COMPLETED) -> Run:
    run = Run.objects.get(pk=run.pk)
    assert run.status == status and check_run(run.pk) == {}
    return run


@pytest.mark.parametrize(
    "wishes", [{}, {"limit": 20}, {"sections": ["a", "c"]}, {"sections": ["b"], "limit": 9, "epochs": 2}]
)
def test_the_first_worker_makes_what_the_launch_would_have(
    launched: Launched, dataset: Any, monkeypatch: pytest.MonkeyPatch, wishes: dict[str, Any]
) -> None:
    version = dataset(ITEMS)
    run = launched(version=version, **wishes)
    assert run.total > 10 and not run.trials_made and not run.trials.exists()
    assert run_to_end(run.pk) == RunStatus.COMPLETED
    assert ended(run).done == run.total
    monkeypatch.setattr(making, "MADE_AT_ONCE", 1000)
    other = launched(version=version, **wishes)
    assert other.trials_made
    assert list(run.trials.values_list(*COLUMNS)) == list(other.trials.values_list(*COLUMNS))


def test_few_and_chosen_items_are_made_at_once(launched: Launched, dataset: Any) -> None:
    version = dataset(ITEMS)
    chosen = [*Item.objects.filter(version=version).values_list("pk", flat=True)[:12]]
    for run in (launched(version=version, limit=10), launched(version=version, item_ids=chosen)):
        assert run.trials_made and run.trials.count() == run.total


def test_they_are_made_once(launched: Launched) -> None:
    run, start = launched(ITEMS), threading.Barrier(4, timeout=60)

    def make() -> None:
        start.wait()
        make_trials(run.pk)
        connection.close()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert run.trials.count() == 30 and Run.objects.get(pk=run.pk).trials_made


def test_nobody_ends_a_run_without_trials(launched: Launched) -> None:
    run = launched(ITEMS)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    assert not leases.finish(run.pk) and not Run.objects.get(pk=run.pk).is_finished


def test_a_process_at_work_makes_them_where_no_worker_is_free(launched: Launched, stub: StubEndpoint) -> None:
    stub.reset(latency_ms=50)
    busy, run = launched(400, concurrency=2), launched(ITEMS)
    thread = threading.Thread(target=lambda: (host().pump(busy.pk, 30, adopts=True), connection.close()))
    thread.start()
    wait_until(lambda: Run.objects.get(pk=run.pk).is_finished, "the end of the other run")
    assert ended(run).done == 30 and not Run.objects.get(pk=busy.pk).is_finished
    Run.objects.filter(pk=busy.pk).update(status=RunStatus.PAUSED)
    thread.join(60)


def test_a_lost_message_is_made_good(launched: Launched, monkeypatch: pytest.MonkeyPatch) -> None:
    run, sent = launched(ITEMS), list[int]()
    monkeypatch.setattr(pump, "apply_async", lambda args, **_: sent.append(args[0]))
    sweep()
    assert run.pk in sent
    pump(run.pk)
    assert ended(run).done == 30


def test_canceled_before_it_has_them_it_can_be_resumed(launched: Launched, alpha_access: Access) -> None:
    run = launched(ITEMS)
    run_cancel(alpha_access, run)
    make_trials(run.pk)
    assert ended(run, RunStatus.CANCELED).canceled == 30 and not run.trials.exists()
    run_resume(alpha_access, run)
    assert run_to_end(run.pk) == RunStatus.COMPLETED and ended(run).done == 30


def test_what_a_worker_of_before_has_ended_is_resumed(launched: Launched, alpha_access: Access) -> None:
    """It knows nothing of trials that are left, finds none, and fails the run."""
    run = launched(ITEMS)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.FAILED)
    run_resume(alpha_access, run)
    assert run_to_end(run.pk) == RunStatus.COMPLETED and ended(run).done == 30


def test_deleted_before_it_has_them_it_leaves_none(
    launched: Launched, alpha_access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it need room for them."""
    run = launched(ITEMS)
    with monkeypatch.context() as patch:
        patch.delattr(making, "insert_trials")
        run_delete(alpha_access, run)
    make_trials(run.pk)
    assert not Trial.objects.filter(run=run.pk).exists() and not Evaluation.objects.exists()


def test_too_little_room_pauses_it_before(launched: Launched, settings: Any, alpha_access: Access) -> None:
    settings.ENGINE_MIN_FREE_MB = 10**9
    run = launched(ITEMS)
    pump(run.pk)
    assert "Make room" in Run.objects.get(pk=run.pk, status=RunStatus.PAUSED).status_reason
    assert not run.trials.exists()
    settings.ENGINE_MIN_FREE_MB = 0
    run_resume(alpha_access, run)
    pump(run.pk)
    assert ended(run).done == 30


def test_a_disk_that_fills_up_meanwhile_pauses_it(launched: Launched, alpha_access: Access) -> None:
    run = launched([{**item, "section": "x" * 120} for item in ITEMS * 40])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
    fill_disk()
    try:
        make_trials(run.pk)
    finally:
        make_room()
    assert "Make room" in Run.objects.get(pk=run.pk, status=RunStatus.PAUSED).status_reason
    assert not run.trials.exists()
    run_resume(alpha_access, run)
    make_trials(run.pk)
    assert run.trials.count() == 1200


def test_its_page_says_so(
    launched: Launched, client_of: Callable[[User], Client], viewer: User, stub: StubEndpoint
) -> None:
    run, client = launched(ITEMS), client_of(viewer)
    address = f"/w/alpha/runs/{run.pk}/"
    assert "Preparing 30 items" in client.get(address).content.decode()
    Run.objects.filter(pk=run.pk).update(status=RunStatus.PAUSED)
    assert "Preparing" not in client.get(address).content.decode()
    Run.objects.filter(pk=run.pk).update(status=RunStatus.PENDING)
    for page in ("/w/alpha/runs/", f"{address}metrics/", f"{address}log/"):
        assert client.get(page).status_code in (200, 404)
    run_to_end(run.pk)
    assert "Preparing" not in client.get(address).content.decode()


def test_a_worker_that_is_asked_to_end_begins_no_run(
    launched: Launched, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the one whose trials it makes just then."""
    run, engine, make = launched(ITEMS), host(), making.make_trials

    def asked_to_end(run_id: int) -> None:
        make(run_id)
        engine.ending = True

    monkeypatch.setattr(making, "make_trials", asked_to_end)
    assert engine.pump(run.pk, 30) is False
    assert stub.stats.total == 0 and run.trials.count() == 30
    assert Run.objects.get(pk=run.pk).status == RunStatus.PENDING


def test_what_hinders_the_making_stands_in_the_log(
    launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, make = launched(ITEMS), making.make_trials
    monkeypatch.setattr("runs.engine.host.MAKE_AGAIN_S", 0.01)

    def hindered(run_id: int) -> None:
        raise IntegrityError("a surprise")

    monkeypatch.setattr(making, "make_trials", hindered)
    assert host().pump(run.pk, 30) is True
    assert LogLine.objects.filter(run=run, level="error", text__contains="a surprise").count() == 1
    monkeypatch.setattr(making, "make_trials", make)
    assert run_to_end(run.pk) == RunStatus.COMPLETED and ended(run).done == 30


def test_comparisons_find_its_sections_once_it_has_them(launched: Launched) -> None:
    run = launched(ITEMS, sections=["a", "b"])
    assert sections_of(run)[0] == []
    make_trials(run.pk)
    assert sections_of(Run.objects.get(pk=run.pk))[0] == ["a", "b"]
