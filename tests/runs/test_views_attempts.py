"""Failed attempts as people find them, and what a run or an item waits for."""

import csv
import io
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs import selectors_attempts
from runs.engine.host import run_to_end
from runs.models import Attempt, Run, RunStatus, Trial, TrialState
from runs.waits import time_of_day
from tests.runs.test_api import api_of
from workspaces.models import User, Workspace

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]


@pytest.fixture
def client(client_of: Callable[[User], Client], viewer: User) -> Client:
    return client_of(viewer)


@pytest.fixture
def run(launched: Launched) -> Run:
    """Five good items, and one that the provider refuses for good."""
    items: list[dict[str, Any]] = [
        {"prompt": f"{n} [[answer:{n}]]", "references": [str(n)], "external_id": f"n{n}"} for n in range(1, 6)
    ]
    items.append({"prompt": "<i>x</i> [[fail:400]]", "references": ["1"], "external_id": "=bad"})
    made = launched(items)
    run_to_end(made.pk)
    return Run.objects.get(pk=made.pk)


def failed(run: Run, seq: int, number: int, outcome: str, **values: Any) -> Attempt:
    trial = Trial.objects.get(run=run, seq=seq)
    Trial.objects.filter(pk=trial.pk).update(attempt_count=max(number, trial.attempt_count))
    return Attempt.objects.create(
        run=run, trial=trial, number=number, fence=1, outcome=outcome, started_at=timezone.now(), **values
    )


def storm(run: Run, count: int, outcome: str = "timeout") -> None:
    trial = Trial.objects.get(run=run, seq=1)
    Attempt.objects.bulk_create(
        Attempt(run=run, trial=trial, number=100 + n, fence=1, outcome=outcome, started_at=timezone.now())
        for n in range(count)
    )


def url_of(run: Run, query: str = "") -> str:
    return f"/w/alpha/runs/{run.pk}/attempts/{query}"


def ms_from_now(seconds: float) -> int:
    return int((time.time() + seconds) * 1000)


def clock(ms: int, *, seconds: bool = False) -> str:
    return time_of_day(datetime.fromtimestamp(ms / 1000, UTC), seconds=seconds)


def test_each_stands_with_item_cause_status_and_wait(client: Client, run: Run) -> None:
    failed(run, 1, 2, "rate_limited", status_code=429,
           error="The provider asks for a pause.\n{\"e\": \"<b>\"}",
           retry_after_ms=2000, wait_ms=2150)  # fmt: skip
    failed(run, 2, 2, "lost", error="x")
    html = client.get(url_of(run)).content.decode()
    for word in (
        "Too many requests", "The provider asks for a pause", ">429<", ">2.0 s<", ">2.1 s<", "?item=1",
        "Its worker was lost before the answer was recorded", "Bad request", "given up", "&lt;b&gt;",
        "Any cause <small>3</small>", "What the endpoint said",
    ):  # fmt: skip
        assert word in html, word
    assert '<b>"' not in html
    drawer = client.get(f"/w/alpha/runs/{run.pk}/?item=1").content.decode()
    assert "Retry-After 2.0 s. Next attempt after 2.1 s" in drawer


def test_kinds_filter_in_the_url_and_pages_go_on(client: Client, run: Run) -> None:
    storm(run, 60)
    storm_of_others = [failed(run, 2, 2 + n, "server_error") for n in range(3)]
    page = client.get(url_of(run, "?kind=timeout")).context["attempts"]
    assert {row.outcome for row in page.rows} == {"timeout"} and len(page.rows) == 50
    second = client.get(url_of(run, f"?kind=timeout&after={page.older}")).context["attempts"]
    assert len(second.rows) == 10 and not second.older
    back = client.get(url_of(run, f"?kind=timeout&before={second.newer}")).context["attempts"]
    assert [row.pk for row in back.rows] == [row.pk for row in page.rows]
    newest = client.get(url_of(run)).context["attempts"].rows
    assert [row.pk for row in newest[:3]] == [each.pk for each in reversed(storm_of_others)]
    for query in ("?kind=nonsense", "?after=x", "?kind=" + "a" * 500, "?before=1"):
        assert client.get(url_of(run, query)).status_code == 200
    kinds = client.get(url_of(run)).context["kinds"]
    assert dict(kinds.counts) == {"timeout": 60, "server_error": 3, "bad_request": 1} and not kinds.capped


def test_the_count_is_bounded(client: Client, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors_attempts, "COUNTED", 5)
    storm(run, 9)
    html = client.get(url_of(run)).content.decode()
    assert "the newest 5 are counted" in html and "<small>5+</small>" in html


def test_an_unfailing_run_says_so(client: Client, launched: Launched) -> None:
    made = launched(2)
    assert "No attempt has failed" in client.get(url_of(made)).content.decode()
    assert "Failed attempts" in client.get(f"/w/alpha/runs/{made.pk}/").content.decode()


def test_queries_do_not_grow_with_the_rows(client: Client, run: Run) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(url_of(run))
        return len(captured)

    queries()
    few = queries()
    storm(run, 49)
    assert queries() == few <= 16


def test_they_are_read_by_the_partial_index(run: Run) -> None:
    storm(run, 300, "ok")
    plan = selectors_attempts.failed_attempts(run).order_by("-id")[:50].explain()
    assert "attempt_failed" in plan or connection.vendor != "sqlite"


def test_file_and_api_hold_them(client: Client, run: Run, viewer: User, alpha: Workspace) -> None:
    failed(run, 1, 2, "rate_limited", status_code=429, error="later", retry_after_ms=2000, wait_ms=2150)
    data = b"".join(client.get(f"/w/alpha/runs/{run.pk}/export/attempts/")).decode()
    rows = list(csv.DictReader(io.StringIO(data, newline="")))
    assert [(row["seq"], row["kind"], row["wait_ms"]) for row in rows] == [
        ("6", "bad_request", ""), ("1", "rate_limited", "2150"),
    ]  # fmt: skip
    assert rows[0]["item_id"] == "'=bad"
    api = api_of(viewer, alpha)
    found = api.ask("GET", f"/runs/{run.pk}/attempts").json()["results"]
    assert [(row["seq"], row["outcome"], row["wait_ms"]) for row in found] == [
        (1, "rate_limited", 2150), (6, "bad_request", None),
    ]  # fmt: skip
    assert api.ask("GET", f"/runs/{run.pk}/attempts?kind=timeout").json()["results"] == []
    assert api.ask("GET", f"/runs/{run.pk}/attempts?kind=%00").status_code in (200, 400)


# Waiting


def test_an_item_says_what_it_waits_for(
    client: Client, launched: Launched, viewer: User, alpha: Workspace
) -> None:
    run, later = launched(5), ms_from_now(600)
    trials = Trial.objects.filter(run=run)
    waiting = {"state": TrialState.WAITING, "not_before_ms": later}
    trials.filter(seq=1).update(**waiting, error_kind="rate_limited")
    trials.filter(seq=2).update(**waiting, error_kind="timeout", error="No answer.")
    trials.filter(seq=3).update(crashes=1)
    trials.filter(seq=4).update(state=TrialState.WAITING, not_before_ms=ms_from_now(-5))
    html = client.get(f"/w/alpha/runs/{run.pk}/?item=2").content.decode()
    at = clock(later, seconds=True)
    assert f"Waiting for provider until {at}" in html and "Retrying (worker lost)" in html
    assert html.count(f"Retry at {at}") == 3  # row, head of the drawer, its callout
    assert html.count("Waiting to retry") == 1  # the row that is due
    api = api_of(viewer, alpha).ask("GET", f"/runs/{run.pk}/trials").json()["results"]
    assert api[0]["retry_at"] and api[2]["crashes"] == 1 and api[3]["retry_at"] is None


def test_a_held_run_says_until_when(
    client: Client, launched: Launched, viewer: User, alpha: Workspace
) -> None:
    run, until = launched(5), ms_from_now(600)
    Run.objects.filter(pk=run.pk).update(
        status=RunStatus.RUNNING, held_until_ms=until, held_reason="it asked for a pause"
    )
    Trial.objects.filter(run=run, seq=2).update(state=TrialState.LEASED, lease_until_ms=until)  # at the door
    at = clock(until)
    for page in ("/w/alpha/runs/", f"/w/alpha/runs/{run.pk}/"):
        html = client.get(page).content.decode()
        assert f"Waiting until {at}</span>" in html and "aiting for provider until" in html, page
    assert html.count(f"Waiting for provider until {clock(until, seconds=True)}<") == 5  # its items
    board = client.get("/w/alpha/runs/").content.decode()
    assert f"Waiting for provider until {at}." in board and "It asked for a pause." in board
    api = api_of(viewer, alpha)
    assert api.ask("GET", f"/runs/{run.pk}").json()["held_until"]
    Run.objects.filter(pk=run.pk).update(held_until_ms=ms_from_now(-1))
    assert "aiting for provider" not in client.get("/w/alpha/runs/").content.decode()
    assert api.ask("GET", f"/runs/{run.pk}").json()["held_until"] is None


def test_a_run_says_that_a_lost_workers_items_are_asked_again(client: Client, launched: Launched) -> None:
    run = launched(5)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    trials = Trial.objects.filter(run=run)
    trials.filter(seq=1).update(state=TrialState.LEASED, lease_until_ms=ms_from_now(20))
    trials.filter(seq=2).update(crashes=1)
    pages = ("/w/alpha/runs/", f"/w/alpha/runs/{run.pk}/?item=3")
    for page in pages:
        html = client.get(page).content.decode()
        assert "<b>1</b> retrying (worker lost)" in html and "Running</span>" in html, page
    trials.filter(seq__in=(1, 3)).update(state=TrialState.LEASED, lease_until_ms=ms_from_now(-20))
    for page in pages:
        html = client.get(page).content.decode()
        assert "<b>3</b> retrying (worker lost)" in html and "Retrying (worker lost)</span>" in html, page
