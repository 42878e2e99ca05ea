"""The status page and the metrics: what they count, who may read them, and at what cost."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from registry.models import Health, Provider
from runs import selectors_status
from runs.engine.clock import now_ms
from runs.models import Attempt, ProviderDemand, ProviderHold, PumpLease, Run, RunStatus, Trial, Worker
from runs.selectors_status import CALLS_READ, LatestCalls, answers_per_minute
from runs.selectors_surroundings import broker_state
from workspaces.models import User

pytestmark = pytest.mark.django_db


def worker(owner: str, seen_before_s: float = 1, **values: Any) -> Worker:
    known = {"machine": "box/1", "pid": 7, "runs": 2, "in_flight": 30, "memory_mb": 90}
    seen = now_ms() - int(seen_before_s * 1000)
    return Worker.objects.create(owner=owner, seen_ms=seen, started_at=timezone.now(), **(known | values))


def calls_of(run: Run, **outcomes: int) -> None:
    """So many finished calls by outcome, each of the run's first trials once."""
    named = [outcome for outcome, n in outcomes.items() for _ in range(n)]
    now = timezone.now()
    Attempt.objects.bulk_create(
        Attempt(
            run=run, trial=trial, number=9, fence=1, outcome=outcome, started_at=now - timedelta(seconds=5),
            finished_at=None if outcome == "open" else now,
        )
        for trial, outcome in zip(run.trials.order_by("seq"), named, strict=False)
    )  # fmt: skip


def test_workers_are_alive_for_twenty_seconds_and_remembered_for_an_hour() -> None:
    worker("a"), worker("b", 19), worker("c", 40), worker("d", 3700)
    status = selectors_status.read(now_ms())
    assert {row.worker.owner: row.is_alive for row in status.workers} == {"a": True, "b": True, "c": False}
    assert (status.in_flight, status.memory_bytes, status.gone) == (60, 180 << 20, 1)


def test_work_is_counted_from_counters_and_leases(launched: Callable[..., Run]) -> None:
    run, paused, done = launched(10), launched(4), launched(3)
    now = now_ms()
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING, done=2, errored=1)
    Run.objects.filter(pk=paused.pk).update(status=RunStatus.PAUSED, done=1)
    Run.objects.filter(pk=done.pk).update(status=RunStatus.COMPLETED, done=3)
    PumpLease.objects.create(run=run, owner="a", until_ms=now + 20_000)
    states = ["done", "done", "errored", "leased", "leased", "waiting"]
    for trial, state in zip(run.trials.order_by("seq"), states, strict=False):
        Trial.objects.filter(pk=trial.pk).update(state=state, lease_until_ms=now + 1000 * trial.seq)
    work = selectors_status.work(now)
    assert (work.pending, work.leased, work.waiting, work.left) == (4, 2, 1, 7)
    assert (work.paused, work.done, work.errored, work.without_worker) == (3, 6, 1, 0)
    assert work.runs == {"running": 1, "paused": 1, "completed": 1}
    assert work.oldest_lease_s == 16 and not work.lease_ran_out  # renewed for 20 s, 4 s are left
    assert selectors_status.work(now + 21_000).lease_ran_out
    assert selectors_status.work(now + 21_000).without_worker == 1
    Trial.objects.filter(run=run, seq=4).update(lease_until_ms=0)  # a sweep is about to give it back
    assert selectors_status.work(now).oldest_lease_s == 15


def test_failed_share_has_its_interval_and_blames_only_the_provider(launched: Callable[..., Run]) -> None:
    run = launched(20)
    calls_of(run, ok=6, rate_limited=3, server_error=1, lost=2, open=4)
    calls = selectors_status.read(now_ms()).providers[0].calls
    assert (calls.failed.correct, calls.failed.n) == (4, 10)
    assert calls.failed.low and calls.failed.high and calls.failed.low < 0.4 < calls.failed.high


def test_calls_older_than_five_minutes_are_left_out(launched: Callable[..., Run]) -> None:
    calls_of(launched(5), ok=5)
    later = now_ms() + 6 * 60_000
    status = selectors_status.read(later)
    assert status.providers[0].calls.failed.n == 0 and status.answers_per_minute == 0


def test_answers_are_counted_over_a_minute_or_told_by_their_pace(launched: Callable[..., Run]) -> None:
    run = launched(8)
    calls_of(run, ok=5, server_error=2)
    assert selectors_status.read(now_ms()).answers_per_minute == 5
    first = Attempt.objects.order_by("pk").first()
    assert first is not None
    Attempt.objects.filter(pk=first.pk).update(id=first.pk + CALLS_READ + 10)
    assert selectors_status.read(now_ms()).answers_per_minute > 5  # six of the last minute are left out
    Attempt.objects.exclude(pk=first.pk + CALLS_READ + 10).update(
        started_at=first.started_at - timedelta(hours=1)
    )
    assert selectors_status.read(now_ms()).answers_per_minute == 1
    now, first = now_ms(), {"run__model__provider": 1, "answered": 0}
    began = datetime.fromtimestamp(now / 1000, UTC) - timedelta(seconds=10)
    rows = [
        {**first, "outcome": "ok", "n": 1500, "first": began},
        {**first, "outcome": "rate_limited", "n": 250, "first": began},
        {**first, "outcome": "open", "n": CALLS_READ - 1750, "first": began},
    ]
    pace = answers_per_minute(LatestCalls(rows, all_of_them=False), now)
    assert pace == pytest.approx(60 * 2000 / 10 * 1500 / 1750)


@pytest.mark.parametrize(
    ("closed_s", "open_s", "hold"), [(0, 0, ""), (30, 0, "pause"), (0, 30, "open"), (0, -5, "probe")]
)
def test_a_provider_is_held_as_the_workers_hold_it(
    closed_s: int, open_s: int, hold: str, provider: Callable[..., Provider]
) -> None:
    now, one = now_ms(), provider(name="Far", concurrency=16)
    ProviderHold.objects.create(
        provider=one, reason="it asked", closed_until_ms=now + closed_s * 1000 if closed_s else 0,
        open_until_ms=now + open_s * 1000 if open_s else 0,
    )  # fmt: skip
    for owner, wanted, part in (("a", 9, 0.25 if hold else 1.0), ("b", 3, 1.0)):
        ProviderDemand.objects.create(
            provider=one, owner=owner, wanted=wanted, limit=3, part=part, in_flight=3, until_ms=now + 5000
        )
    row = selectors_status.read(now).providers[0]
    assert (row.hold, row.held_s) == (hold, max(closed_s, open_s, 0))
    assert row.in_flight == 6 and row.limit == (7 if hold else 16)


# The page


def test_empty_installation_has_words_for_everything(staff: User, client_of: Any) -> None:
    page = client_of(staff).get("/status/").content.decode()
    for words in ("No providers yet", "No worker within the last hour", "No worker is alive", "Not used",
                  "Nothing in flight", "0 gone this hour"):  # fmt: skip
        assert words in page


def test_page_and_its_figures_show_the_same_fragments(
    staff: User, client_of: Any, launched: Callable[..., Run]
) -> None:
    worker("a"), worker("b", 600)
    run = launched(6)
    calls_of(run, ok=3, timeout=2)
    ProviderHold.objects.create(
        provider=run.model.provider, open_until_ms=now_ms() + 60_000, reason="5 failures in a row"
    )
    client = client_of(staff)
    page, figures = (client.get(url).content.decode() for url in ("/status/", "/status/figures/"))
    for text in (page, figures):
        for name in ("line", "tiles", "providers", "workers", "queue", "services", "concerns"):
            assert text.count(f'id="status-{name}"') == 1
        assert "Left alone" in text and "n = 5" in text and "Gone" in text and "Alive" in text
    assert "5 failures in a row. One call tries it" in page and '<a href="/status/">Status</a>' in page


def test_people_who_are_not_staff_see_no_link(viewer: User, client_of: Any) -> None:
    page = client_of(viewer).get("/w/alpha/runs/")
    assert b"/status/" not in page.content
    assert client_of(viewer).get("/status/").status_code == 404


def test_admin_leads_to_the_status_page(staff: User, client_of: Any) -> None:
    assert b'href="/status/"' in client_of(staff).get("/admin/").content


@pytest.mark.parametrize("url", ["/status/", "/status/figures/", "/metrics"])
def test_queries_are_few_whatever_there_is(
    url: str, staff: User, client_of: Any, launched: Callable[..., Run], django_assert_max_num_queries: Any
) -> None:
    client = client_of(staff)
    for n in range(3):
        calls_of(launched(4), ok=2, timeout=1)
        worker(str(n))
    client.get(url)
    with django_assert_max_num_queries(15):
        assert client.get(url).status_code == 200


# Metrics


def figures_of(text: str) -> dict[str, float]:
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


def test_metrics_tell_the_same_figures(
    staff: User, client_of: Any, launched: Callable[..., Run], settings: LazySettings
) -> None:
    run = launched(6)
    provider = run.model.provider
    Provider.objects.filter(pk=provider.pk).update(
        name='A "B"\\', health=Health.OK, health_checked_at=timezone.now()
    )
    calls_of(run, ok=3, timeout=2)
    worker("a")
    answer = client_of(staff).get("/metrics")
    found, labels = figures_of(answer.content.decode()), f'provider="{provider.pk}",name="A \\"B\\"\\\\"'
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert found["evalportal_workers_alive"] == 1
    assert found['evalportal_runs{status="pending"}'] == 1 and found['evalportal_runs{status="failed"}'] == 0
    assert found['evalportal_trials{state="pending"}'] == 6
    assert found[f"evalportal_provider_up{{{labels}}}"] == 1
    assert found[f'evalportal_provider_recent_calls{{{labels},outcome="timeout"}}'] == 2
    assert found["evalportal_attempts_total"] >= 5
    assert found["evalportal_queue_messages"] == broker_state().messages  # others' messages may wait there
    assert found["evalportal_oldest_lease_seconds"] == 0
    assert found["evalportal_websockets"] == 0 and found["evalportal_channel_layer_up"] == 1
    assert f'version="{settings.VERSION}"' in answer.content.decode()
    assert b"Alpha" not in answer.content and b"alpha" not in answer.content


def test_counter_of_calls_never_falls(launched: Callable[..., Run]) -> None:
    run = launched(5)
    calls_of(run, ok=5)
    before = selectors_status.attempts_ever()
    Attempt.objects.all().delete()
    assert selectors_status.attempts_ever() == before > 0


def test_unknown_is_no_zero(provider: Callable[..., Provider], staff: User, client_of: Any) -> None:
    provider(name="Never asked")
    text = client_of(staff).get("/metrics").content.decode()
    assert "# TYPE evalportal_provider_up gauge" in text and "evalportal_provider_up{" not in text


@pytest.mark.parametrize(
    ("kept", "sent", "status"),
    [
        ("s3cret-token", "Bearer s3cret-token", 200),
        ("s3cret-token", "Bearer s3cret-toke", 404),
        ("s3cret-token", "s3cret-token", 404),
        ("s3cret-token", "Bearer ünlike", 404),
        ("", "Bearer ", 404),
        ("", "", 404),
    ],
)
def test_metrics_token(kept: str, sent: str, status: int, settings: LazySettings, staff: User) -> None:
    settings.METRICS_TOKEN = kept
    assert Client(headers={"authorization": sent}).get("/metrics").status_code == status
