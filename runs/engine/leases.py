"""Leases of trials: claim, renew, give back, and the sweep that puts right what a lost worker left.

A lease is a state, an owner, an expiry by the database's clock, and a fence that grows with each
claim. Whoever writes later proves the fence; a worker that lost its lease writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Now
from django.utils import timezone

from datasets.models import Upload, UploadState
from runs.engine.clock import now_ms, now_ms_sql, now_sql
from runs.engine.owners import is_dead
from runs.engine.rowset import encode, rowset
from runs.models import (
    LIVE_STATES,
    Attempt,
    GridCell,
    LogLine,
    PumpLease,
    Run,
    RunStatus,
    Trial,
    TrialState,
    cell_size,
)

LEASE_MS = 20_000
MAX_CRASHES = 3
POISON = "Its worker died three times while this item was in flight, so it is not tried again by itself."


@dataclass(frozen=True, slots=True)
class Claimed:
    """A trial that this worker may attempt, and the fence that proves it."""

    id: int
    fence: int
    item_id: int
    seq: int
    epoch: int
    section: str
    attempt: int
    failures: int


def take_run(run_id: int, owner: str) -> bool:
    """Makes this process one of the run's pumps, and the run running; False when it has enough of them."""
    with transaction.atomic():
        run = Run.objects.select_for_update().filter(pk=run_id).values("status", "working_since_ms").first()
        if run is None or run["status"] not in (RunStatus.PENDING, RunStatus.RUNNING):
            return False
        now, pumps = now_ms(), PumpLease.objects.filter(run_id=run_id)
        if pumps.filter(until_ms__gte=now).exclude(owner=owner).count() >= settings.ENGINE_PUMPS_PER_RUN:
            return False
        pumps.filter(until_ms__lt=now).delete()
        pumps.update_or_create(run_id=run_id, owner=owner, defaults={"until_ms": now + LEASE_MS})
        Run.objects.filter(pk=run_id).update(
            status=RunStatus.RUNNING,
            status_reason="",
            started_at=Case(When(started_at=None, then=Now()), default=F("started_at")),
            working_since_ms=run["working_since_ms"] or now,
            sequence=F("sequence") + 1,
        )
    return True


def without_pump(now: int) -> QuerySet[Run]:
    """Runs that have work and nobody at it."""
    at_work = PumpLease.objects.filter(run=OuterRef("pk"), until_ms__gte=now)
    return Run.objects.filter(~Exists(at_work), status__in=(RunStatus.PENDING, RunStatus.RUNNING))


def work_ended() -> dict[str, Any]:
    """Field updates that close a run's present span of work: idle time between spans is not its duration."""
    now = Value(now_ms(), BigIntegerField())
    span = Case(
        When(working_since_ms__gt=0, then=now - F("working_since_ms")),
        default=0,
        output_field=BigIntegerField(),
    )
    return {"worked_ms": ExpressionWrapper(F("worked_ms") + span, BigIntegerField()), "working_since_ms": 0}


def leave_run(run_id: int, owner: str) -> None:
    """This process executes the run no more; the next wake-up or sweep gives it another."""
    PumpLease.objects.filter(run_id=run_id, owner=owner).delete()


def claim(run_id: int, owner: str, count: int, calls: bool) -> list[Claimed]:
    """Leases up to `count` trials, due retries first; attempts go on record when they will call out."""
    with transaction.atomic():
        run = Run.objects.select_for_update().filter(pk=run_id)  # first, as everyone who writes its trials
        if run.values_list("status", flat=True).first() != RunStatus.RUNNING:
            return []
        rows = _lease(run_id, owner, count, f"state = 'waiting' AND not_before_ms <= {now_ms_sql()}", calls)
        if len(rows) < count:
            rows += _lease(run_id, owner, count - len(rows), "state = 'pending'", calls)
        claimed = [Claimed(*row) for row in sorted(rows, key=lambda row: row[3])]
        if calls and claimed:
            _open_attempts(run_id, claimed)
    return claimed


def _lease(run_id: int, owner: str, count: int, condition: str, calls: bool) -> list[tuple[Any, ...]]:
    skip = "FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE runs_trial SET state = 'leased', owner = %s, fence = fence + 1,
                lease_until_ms = {now_ms_sql()} + %s, attempt_count = attempt_count + %s
            WHERE id IN (
                SELECT id FROM runs_trial WHERE run_id = %s AND {condition} ORDER BY seq LIMIT %s {skip}
            )
            RETURNING id, fence, item_id, seq, epoch, section, attempt_count, failures
            """,  # noqa: S608 (constants only)
            [owner, LEASE_MS, int(calls), run_id, count],
        )
        return list(cursor.fetchall())


def _open_attempts(run_id: int, claimed: Sequence[Claimed]) -> None:
    rows = [{"trial": trial.id, "number": trial.attempt, "fence": trial.fence} for trial in claimed]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO runs_attempt (run_id, trial_id, number, fence, started_at)
            SELECT {int(run_id)}, v.trial, v.number, v.fence, {now_sql()}
            FROM {rowset({"trial": "bigint", "number": "int", "fence": "int"})}
            """,  # noqa: S608 (constants only)
            [encode(rows)],
        )


def renew(run_id: int, owner: str) -> str:
    """Prolongs this worker's leases and its hold on the run; returns the run's status, empty if gone."""
    now = now_ms()
    with transaction.atomic():
        PumpLease.objects.filter(run_id=run_id, owner=owner).update(until_ms=now + LEASE_MS)
        held = Trial.objects.filter(run_id=run_id, state=TrialState.LEASED, owner=owner)
        held.update(lease_until_ms=now + LEASE_MS)
    return Run.objects.filter(pk=run_id).values_list("status", flat=True).first() or ""


def give_back(run_id: int, unsent: Sequence[Claimed], calls: bool) -> None:
    """Trials that were leased but never sent go back as if they had not been touched."""
    if not unsent:
        return
    rows = [{"trial": trial.id, "number": trial.attempt, "fence": trial.fence} for trial in unsent]
    columns = {"trial": "bigint", "number": "int", "fence": "int"}
    with transaction.atomic(), connection.cursor() as cursor:
        Run.objects.select_for_update().filter(pk=run_id).values_list("pk").first()
        cursor.execute(
            f"""
            UPDATE runs_trial SET state = 'pending', owner = '', attempt_count = attempt_count - %s
            FROM {rowset(columns)}
            WHERE runs_trial.id = v.trial AND runs_trial.fence = v.fence AND runs_trial.state = 'leased'
            """,  # noqa: S608 (constants only)
            [int(calls), encode(rows)],
        )
        cursor.execute(
            f"""
            DELETE FROM runs_attempt WHERE outcome = 'open' AND id IN (
                SELECT runs_attempt.id FROM runs_attempt JOIN {rowset(columns)}
                ON runs_attempt.trial_id = v.trial AND runs_attempt.number = v.number
            )
            """,  # noqa: S608 (constants only)
            [encode(rows)],
        )


def next_due_ms(run_id: int) -> int | None:
    """Milliseconds until the first waiting trial is due; None when none waits."""
    due = Trial.objects.filter(run_id=run_id, state=TrialState.WAITING).order_by("not_before_ms")
    first = due.values_list("not_before_ms", flat=True).first()
    return None if first is None else max(0, first - now_ms())


def others_want_a_pump(run_id: int) -> bool:
    """Whether another run, or an import, waits for a worker, so that this one should yield."""
    waiting = without_pump(now_ms()).exclude(pk=run_id)
    return waiting.exists() or Upload.objects.filter(state=UploadState.QUEUED).exists()


def sweep() -> list[int]:
    """Expired leases go back; returns the runs that need a pump, if only to be finished."""
    release_dead()
    now = now_ms()
    expired = Trial.objects.filter(state=TrialState.LEASED, lease_until_ms__lt=now)
    for run_id in sorted(set(expired.values_list("run_id", flat=True))):
        _recover(run_id, now)
    return list(without_pump(now).order_by("id").values_list("pk", flat=True))


def _recover(run_id: int, now: int) -> None:
    """By conditional updates, so that two sweepers at once do no harm."""
    with transaction.atomic():
        run = Run.objects.select_for_update().filter(pk=run_id).first()
        if run is None:
            return
        expired = Trial.objects.filter(run_id=run_id, state=TrialState.LEASED, lease_until_ms__lt=now)
        lost = list(expired.select_for_update(skip_locked=True).values_list("pk", "seq", "crashes"))
        Attempt.objects.filter(trial__in=[pk for pk, _, _ in lost], outcome="open").update(
            outcome="lost",
            finished_at=timezone.now(),
            error="Its worker was lost; the call may have been paid for.",
        )
        poison = [seq for _, seq, crashes in lost if crashes + 1 >= MAX_CRASHES]
        Trial.objects.filter(pk__in=[pk for pk, _, _ in lost]).update(
            crashes=F("crashes") + 1,
            owner="",
            fence=F("fence") + 1,
            finished_at=Case(When(crashes__gte=MAX_CRASHES - 1, then=Now()), default=None),
            error=Case(When(crashes__gte=MAX_CRASHES - 1, then=Value(POISON)), default=Value("")),
            error_kind=Case(When(crashes__gte=MAX_CRASHES - 1, then=Value("poison")), default=Value("")),
            state=Case(
                When(crashes__gte=MAX_CRASHES - 1, then=Value("errored")),
                default=Value("pending"),
                output_field=CharField(),
            ),
        )
        _count_poison(run, poison)
        if lost:
            LogLine.objects.create(
                run_id=run_id,
                at=timezone.now(),
                level="warn",
                text=f"a worker was lost; {len(lost)} items in flight go back to the queue",
            )


def _count_poison(run: Run, seqs: Sequence[int]) -> None:
    Run.objects.filter(pk=run.pk).update(errored=F("errored") + len(seqs), sequence=F("sequence") + 1)
    for seq in seqs:
        cell, _ = GridCell.objects.get_or_create(run=run, cell=(seq - 1) // cell_size(run.total))
        GridCell.objects.filter(pk=cell.pk).update(errored=F("errored") + 1)


def release_dead() -> None:
    """Ends the leases of processes of this machine that are gone, before they run out by themselves."""
    leased = Trial.objects.filter(state=TrialState.LEASED)
    owners = {*leased.order_by().values_list("owner", flat=True).distinct()}
    owners |= {*PumpLease.objects.values_list("owner", flat=True)}
    dead = [owner for owner in owners if is_dead(owner)]
    PumpLease.objects.filter(owner__in=dead).delete()
    leased.filter(owner__in=dead).update(lease_until_ms=0)


def finish(run_id: int) -> bool:
    """Ends a run without live trials; True for the one caller that did."""
    alive = Trial.objects.filter(run=OuterRef("pk"), state__in=LIVE_STATES)
    with transaction.atomic():
        ended = Run.objects.filter(~Exists(alive), pk=run_id, status=RunStatus.RUNNING).update(
            status=Case(
                When(canceled__gt=0, then=Value(RunStatus.CANCELED)),
                When(Q(done=0) & Q(total__gt=0), then=Value(RunStatus.FAILED)),
                default=Value(RunStatus.COMPLETED),
            ),
            status_reason=Case(
                When(canceled__gt=0, then=Value("Items that were canceled are left; resume asks them.")),
                When(Q(done=0) & Q(total__gt=0), then=Value("No item could be answered.")),
                default=Value(""),
            ),
            finished_at=Now(),
            **work_ended(),
            sequence=F("sequence") + 1,
        )
        if ended:
            PumpLease.objects.filter(run_id=run_id).delete()
    return bool(ended)


def pause(run_id: int, reason: str) -> None:
    """The engine's own pause, with words that say what to do."""
    with transaction.atomic():
        changed = Run.objects.filter(pk=run_id, status=RunStatus.RUNNING).update(
            status=RunStatus.PAUSED, status_reason=reason, sequence=F("sequence") + 1, **work_ended()
        )
        if changed:
            LogLine.objects.create(run_id=run_id, at=timezone.now(), level="error", text=f"paused: {reason}")
