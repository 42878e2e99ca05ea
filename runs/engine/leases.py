"""Leases of runs and trials: claim, renew, give back; `recovery` has the sweep.

A lease is a state, an owner, an expiry by the database's clock, and a fence that grows with each
claim. Whoever writes later proves the fence; a worker that lost its lease writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import (
    BigIntegerField,
    BooleanField,
    Case,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.utils import timezone

from datasets.models import Upload, UploadState
from runs.engine.clock import now_ms, now_ms_sql, now_sql
from runs.engine.rowset import encode, rowset, unestimated
from runs.models import FINISHED_STATUSES, LIVE_STATES, LogLine, PumpLease, Run, RunStatus, Trial, TrialState

LEASE_MS = settings.ENGINE_LEASE_S * 1000
# In the words of the partial index `trial_abandoned`: SQLite uses it only if they are constants of the query.
CANCELED_IN_FLIGHT = RawSQL(
    "runs_trial.state = 'canceled' AND NOT (runs_trial.owner = '')", [], BooleanField()
)  # their worker has not said yet what came of the call
TRIALS_PER_PUMP = 500  # a run gets one process more for each


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
    judged: int | None = None  # of a judging: the trial whose response is judged


def take_run(run_id: int, owner: str) -> bool:
    """Makes this process one of the run's pumps, and the run running; False when it has enough of them."""
    with transaction.atomic():
        run = Run.objects.select_for_update().filter(pk=run_id).first()
        if run is None or run.status not in (RunStatus.PENDING, RunStatus.RUNNING):
            return False
        now, pumps = now_ms(), PumpLease.objects.filter(run_id=run_id)
        others = pumps.filter(until_ms__gte=now).exclude(owner=owner).count()
        # Whoever still holds a run that waits for a process has long calls out from before a pause.
        if run.status == RunStatus.RUNNING and others >= pumps_wanted(run):
            return False
        pumps.filter(until_ms__lt=now).delete()
        pumps.update_or_create(run_id=run_id, owner=owner, defaults={"until_ms": now + LEASE_MS, "calls": 0})
        Run.objects.filter(pk=run_id).update(
            status=RunStatus.RUNNING,
            status_reason="",
            started_at=Case(When(started_at=None, then=Now()), default=F("started_at")),
            working_since_ms=run.working_since_ms or now,
            sequence=F("sequence") + 1,
        )
    return True


def pumps_wanted(run: Run) -> int:
    """How many processes a run keeps busy; each of them takes its part of the run's calls in flight."""
    left = -(-(run.total - run.terminal) // TRIALS_PER_PUMP)
    return max(1, min(settings.ENGINE_PUMPS_PER_RUN, run.config.get("concurrency") or 1, left))


def without_pump(now: int) -> QuerySet[Run]:
    """Runs that have work and nobody at it."""
    at_work = PumpLease.objects.filter(run=OuterRef("pk"), until_ms__gte=now)
    return Run.objects.filter(has_work(), ~Exists(at_work), status__in=(RunStatus.PENDING, RunStatus.RUNNING))


def has_work() -> Q:
    """Not a judging that waits for responses: it needs no process, nor one that could end it."""
    to_do = Q(total__gt=F("done") + F("errored") + F("canceled"))
    return Q(judged=None) | to_do | responses_are_in()


def responses_are_in() -> Q:
    """Of a judging: nothing more will come to be judged."""
    return Q(judged__status__in=FINISHED_STATUSES) & (
        Q(opponent=None) | Q(opponent__status__in=FINISHED_STATUSES)
    )


def pumps_missing(run_id: int) -> int:
    """How many processes more the run could keep busy."""
    live = Run.objects.filter(has_work(), pk=run_id, status__in=(RunStatus.PENDING, RunStatus.RUNNING))
    run = live.first()
    at_work = PumpLease.objects.filter(run_id=run_id, until_ms__gte=now_ms()).count()
    return pumps_wanted(run) - at_work if run else 0


def orphans() -> list[int]:
    """Runs that nobody executes. Each process asks once a second, so the query is made once."""
    sql, params = _orphans_query()
    now = now_ms()
    with connection.cursor() as cursor:
        cursor.execute(sql, [now if value == _NOW else value for value in params])
        return [pk for (pk,) in cursor.fetchall()]


_NOW = -1


@cache
def _orphans_query() -> tuple[str, tuple[Any, ...]]:
    return without_pump(_NOW).order_by("id").values_list("pk", flat=True)[:100].query.sql_with_params()


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
    idle = Run.objects.exclude(has_work()).filter(pk=run_id, status=RunStatus.RUNNING)
    idle.update(**work_ended())


def for_update(how: str = "") -> str:
    """SQLite locks as a whole. Raises TransactionManagementError outside of a transaction."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("A lock needs a transaction.")
    return f"FOR UPDATE {how}" if connection.vendor == "postgresql" else ""


def lock_run(run_id: int) -> str:
    """Whoever writes a run's trials and its counters takes the run's row first, so that none deadlock.

    Returns its status, empty when it is gone.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT status FROM runs_run WHERE id = %s {for_update()}", [run_id])  # noqa: S608
        row = cursor.fetchone()
    return row[0] if row else ""


def claim(run_id: int, owner: str, count: int, calls: bool, suspects: int = 8) -> list[Claimed]:
    """Leases up to `count` trials: due retries first, then fresh ones, then those that were in flight
    when a worker died: `suspects` of them at once, and one alone when it happened twice."""
    with transaction.atomic():
        if lock_run(run_id) != RunStatus.RUNNING:
            return []
        due = f"state = 'waiting' AND not_before_ms <= {now_ms_sql()}"
        rows = _lease(run_id, owner, count, f"{due} AND crashes = 0", calls)
        if len(rows) < count:
            rows += _lease(run_id, owner, count - len(rows), "state = 'pending' AND crashes = 0", calls)
        if len(rows) < count:
            rows += _lease_suspects(run_id, owner, count - len(rows), due, calls, suspects)
    return [Claimed(*row) for row in sorted(rows, key=lambda row: row[3])]


def _lease_suspects(
    run_id: int, owner: str, count: int, due: str, calls: bool, suspects: int
) -> list[tuple[Any, ...]]:
    """One item that kills its worker takes its neighbours down with it, but it does not take them along to
    the end: they finish in company that thins out."""
    trials = Trial.objects.filter(run_id=run_id, crashes__gt=0, state__in=LIVE_STATES)
    held = dict(
        trials.filter(state=TrialState.LEASED).order_by().values_list("crashes").annotate(n=Count("id"))
    )
    rows: list[tuple[Any, ...]] = []
    for crashes, most in ((1, suspects), (2, 1)):
        room = min(count - len(rows), most - held.get(crashes, 0))
        if room > 0:
            condition = f"crashes = {crashes} AND (state = 'pending' OR {due})"
            rows += _lease(run_id, owner, room, condition, calls)
    return rows


def _lease(run_id: int, owner: str, count: int, condition: str, calls: bool) -> list[tuple[Any, ...]]:
    skip = for_update("SKIP LOCKED")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE runs_trial SET state = 'leased', owner = %s, fence = fence + 1,
                lease_until_ms = {now_ms_sql()} + %s, attempt_count = attempt_count + %s
            WHERE id IN (
                SELECT id FROM runs_trial WHERE run_id = %s AND {condition} ORDER BY seq LIMIT %s {skip}
            )
            RETURNING id, fence, item_id, seq, epoch, section, attempt_count, failures, judged_id
            """,  # noqa: S608 (constants only)
            [owner, LEASE_MS, int(calls), run_id, count],
        )
        return list(cursor.fetchall())


def open_attempts(claimed: Sequence[Claimed]) -> None:
    """Puts the calls on record that are about to go out. Of trials that were stopped meanwhile, none.

    In the caller's transaction, which holds the run's row: nobody deletes the run meanwhile.
    """
    rows = [{"trial": trial.id, "number": trial.attempt, "fence": trial.fence} for trial in claimed]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO runs_attempt (run_id, trial_id, number, fence, started_at)
            SELECT runs_trial.run_id, v.trial, v.number, v.fence, {now_sql()}
            FROM {rowset({"trial": "bigint", "number": "int", "fence": "int"})}
            JOIN runs_trial ON runs_trial.id = v.trial AND runs_trial.fence = v.fence
            ON CONFLICT (trial_id, number) DO NOTHING
            """,  # noqa: S608 (constants only)
            [encode(rows)],
        )


def renew(run_id: int, owner: str) -> bool:
    """Prolongs this worker's leases and its hold on the run; False if that is gone."""
    with transaction.atomic():
        lock_run(run_id)
        now = now_ms()
        hold = PumpLease.objects.filter(run_id=run_id, owner=owner).update(until_ms=now + LEASE_MS)
        leased = Trial.objects.filter(run_id=run_id, state=TrialState.LEASED, owner=owner)
        leased.update(lease_until_ms=now + LEASE_MS)
        mine = [pk for pk, *of in canceled_in_flight("pk", "run_id", "owner") if of == [run_id, owner]]
        if mine:  # their answers are paid for, too
            Trial.objects.filter(pk__in=mine, owner=owner).update(lease_until_ms=now + LEASE_MS)
    return bool(hold)


def canceled_in_flight(*fields: str) -> list[tuple[Any, ...]]:
    """Of all runs, since they are few: by run they would be looked for among all that was canceled."""
    found = Trial.objects.filter(CANCELED_IN_FLIGHT, lease_until_ms__gte=0).order_by()
    return list(found.values_list(*fields))


def give_back(run_id: int, unsent: Sequence[Claimed], calls: bool) -> None:
    """Trials that were leased but never sent go back as if they had not been touched."""
    if not unsent:
        return
    rows = [{"trial": trial.id, "number": trial.attempt, "fence": trial.fence} for trial in unsent]
    columns = {"trial": "bigint", "number": "int", "fence": "int"}
    with transaction.atomic(), connection.cursor() as cursor:
        lock_run(run_id)
        cursor.execute(
            f"""
            UPDATE runs_trial SET state = CASE state WHEN 'leased' THEN 'pending' ELSE state END, owner = '',
                fence = runs_trial.fence + 1,
                attempt_count = attempt_count - %s, reserved_tokens = 0, reserved_cost = 0
            FROM {rowset(columns)}
            WHERE runs_trial.id = v.trial AND runs_trial.fence = v.fence
                AND {unestimated("runs_trial.state IN ('leased', 'canceled')")}
            """,  # noqa: S608 (constants only)
            [int(calls), encode(rows)],
        )
        cursor.execute(
            f"""
            DELETE FROM runs_attempt WHERE {unestimated("outcome = 'open'")} AND id IN (
                SELECT runs_attempt.id FROM runs_attempt JOIN {rowset(columns)}
                ON runs_attempt.trial_id = v.trial AND runs_attempt.number = v.number
                AND runs_attempt.fence = v.fence
            )
            """,  # noqa: S608 (constants only)
            [encode(rows)],
        )


def left_to_claim(run_id: int) -> bool:
    """Whether trials wait that nobody has leased, due or not."""
    return Trial.objects.filter(run_id=run_id, state__in=(TrialState.PENDING, TrialState.WAITING)).exists()


def awaits_responses(run_id: int) -> bool:
    """Of a judging: whether there may be more to judge soon."""
    return Run.objects.filter(~responses_are_in(), pk=run_id, judged__isnull=False).exists()


def next_due_ms(run_id: int) -> int | None:
    """Milliseconds until the first waiting trial is due; None when none waits."""
    due = Trial.objects.filter(run_id=run_id, state=TrialState.WAITING).order_by("not_before_ms")
    first = due.values_list("not_before_ms", flat=True).first()
    return None if first is None else max(0, first - now_ms())


def others_want_a_pump(run_id: int) -> bool:
    """Whether another run, or an import, waits for a worker, so that this one should yield."""
    return without_pump(now_ms()).exclude(pk=run_id).exists() or import_waits()


def import_waits() -> bool:
    return Upload.objects.filter(state=UploadState.QUEUED).exists()


def hold_run(run_id: int, for_ms: int, reason: str) -> int:
    """Shows on the run until when no call goes out; 0 ends it. Returns for how many ms it was held before."""
    now = now_ms()
    run = Run.objects.filter(pk=run_id)
    before = run.values_list("held_until_ms", flat=True).first() or 0
    run.update(
        held_until_ms=now + for_ms if for_ms else 0, held_reason=reason[:300], sequence=F("sequence") + 1
    )
    return max(0, before - now)


def finish(run_id: int) -> bool:
    """Ends a run without live trials; True for the one caller that did; judgings end last."""
    alive = Trial.objects.filter(run=OuterRef("pk"), state__in=LIVE_STATES)
    judging = Q(judged__isnull=False, status__in=(RunStatus.PENDING, RunStatus.RUNNING)) & responses_are_in()
    with transaction.atomic():
        lock_run(run_id)
        may_end = Run.objects.filter(Q(judged=None, status=RunStatus.RUNNING) | judging, pk=run_id)
        ended = Run.objects.filter(~Exists(alive), trials_made=True, pk__in=may_end.values("pk")).update(
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
            held_until_ms=0,
            **work_ended(),
            sequence=F("sequence") + 1,
        )
        if ended:
            PumpLease.objects.filter(run_id=run_id).delete()
    return bool(ended)


def finish_judgings(run_id: int) -> list[int]:
    """Ends those of the run's judgings, and of those that it was the opponent in, that have nothing left."""
    concerned = Run.objects.filter(Q(judged=run_id) | Q(opponent=run_id)).order_by("pk")
    return [pk for pk in concerned.values_list("pk", flat=True) if finish(pk)]


def pause(run_id: int, reason: str) -> None:
    """The engine's own pause, with words that say what to do."""
    with transaction.atomic():
        changed = Run.objects.filter(pk=run_id, status=RunStatus.RUNNING).update(
            status=RunStatus.PAUSED, status_reason=reason, sequence=F("sequence") + 1, **work_ended()
        )
        if changed:
            LogLine.objects.create(run_id=run_id, at=timezone.now(), level="error", text=f"paused: {reason}")
