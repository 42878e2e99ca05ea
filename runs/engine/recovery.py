"""The sweep: puts right what a lost worker or message left behind, by conditional updates alone."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.models import Case, CharField, F, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from runs.engine import journal
from runs.engine.clock import now_ms
from runs.engine.judging import judge_of
from runs.engine.leases import CANCELED_IN_FLIGHT, LEASE_MS, has_work, lock_run, pumps_wanted
from runs.engine.owners import is_dead
from runs.engine.verdicts import settle_trials
from runs.models import (
    Attempt,
    GridCell,
    LogLine,
    ProviderDemand,
    PumpLease,
    Run,
    RunStatus,
    Trial,
    TrialState,
    Worker,
    cell_size,
)

MAX_CRASHES = 3
KEEP_WORKERS_MS = 3_600_000
POISON = "Its worker died three times while this item was in flight, so it is not tried again by itself."
LOST = "Its worker was lost; the call may have been paid for."


def sweep() -> list[int]:
    """Expired leases go back; returns the runs that need a process, once for each that they need."""
    release_dead()
    now = now_ms()
    end_abandoned(lease_until_ms__lt=now)
    expired = Trial.objects.filter(state=TrialState.LEASED, lease_until_ms__lt=now)
    for run_id in sorted(set(expired.order_by().values_list("run_id", flat=True))):
        _recover(run_id, now)
    PumpLease.objects.filter(until_ms__lt=now - LEASE_MS).delete()
    Worker.objects.filter(seen_ms__lt=now - KEEP_WORKERS_MS).delete()
    return list(_wanting(now))


def _wanting(now: int) -> Iterable[int]:
    at_work: dict[int, int] = defaultdict(int)
    for run_id in PumpLease.objects.filter(until_ms__gte=now).values_list("run_id", flat=True):
        at_work[run_id] += 1
    live = Run.objects.filter(has_work(), status__in=(RunStatus.PENDING, RunStatus.RUNNING)).order_by("id")
    for run in live.only("id", "total", "done", "errored", "canceled", "config"):
        yield from [run.pk] * (pumps_wanted(run) - at_work[run.pk])


def release_dead() -> None:
    """Ends the leases of processes of this machine that are gone, before they run out by themselves."""
    leased = Trial.objects.filter(state=TrialState.LEASED)
    owners = {*leased.order_by().values_list("owner", flat=True).distinct()}
    for model in (PumpLease, Worker, ProviderDemand):
        owners |= {*model.objects.values_list("owner", flat=True)}
    dead = [owner for owner in owners if is_dead(owner)]
    if dead:
        for model in (PumpLease, ProviderDemand):
            model.objects.filter(owner__in=dead).delete()
        for held in (leased, Trial.objects.filter(CANCELED_IN_FLIGHT)):
            theirs: dict[int, list[int]] = defaultdict(list)
            for run_id, trial_id in held.filter(owner__in=dead).order_by().values_list("run_id", "pk"):
                theirs[run_id].append(trial_id)
            for run_id in sorted(theirs):
                with transaction.atomic():
                    lock_run(run_id)
                    Trial.objects.filter(pk__in=theirs[run_id], owner__in=dead).update(lease_until_ms=0)
    gone = set(dead) - {*leased.filter(owner__in=dead).values_list("owner", flat=True)}
    Worker.objects.filter(owner__in=gone).delete()
    for owner in gone:
        journal.remove(owner)


def end_abandoned(**of: int) -> None:
    """Calls in flight when their run was canceled, whose worker was lost before it could say what came of
    them, end as such. One that lives after all puts its attempts right and no more: the fence has moved."""
    trials = Trial.objects.filter(CANCELED_IN_FLIGHT, **of)
    by_run: dict[int, list[int]] = defaultdict(list)
    for run_id, trial_id in trials.values_list("run_id", "pk"):
        by_run[run_id].append(trial_id)
    for run_id, ids in by_run.items():
        with transaction.atomic():
            if not lock_run(run_id):
                continue
            lost = _end_attempts(ids)
            Trial.objects.filter(CANCELED_IN_FLIGHT, pk__in=ids).update(owner="", fence=F("fence") + 1)
            if lost:
                text = f"a worker was lost; {lost} calls were in flight when the run was canceled"
                LogLine.objects.create(run_id=run_id, at=timezone.now(), level="warn", text=text)


def _end_attempts(trial_ids: Sequence[int]) -> int:
    return Attempt.objects.filter(trial__in=trial_ids, outcome="open").update(
        outcome="lost", finished_at=timezone.now(), error=LOST
    )


def _recover(run_id: int, now: int) -> None:
    run = Run.objects.select_related("judged").filter(pk=run_id).first()
    with transaction.atomic():
        if run and run.judged:
            lock_run(run.judged.pk)
        if run is None or not lock_run(run_id):
            return
        expired = Trial.objects.filter(run_id=run_id, state=TrialState.LEASED, lease_until_ms__lt=now)
        rows = list(expired.select_for_update(skip_locked=True).defer("response", "error", "answer"))
        idle = _never_begun(rows)
        _put_back([trial.pk for trial in rows if trial.pk in idle])
        poison = _count_crash(run_id, [trial for trial in rows if trial.pk not in idle])
        if judge := judge_of(run):
            settle_trials(judge, poison)
        if rows:
            _say(run_id, len(rows), len(idle))


def _never_begun(trials: Sequence[Trial]) -> set[int]:
    """Those that their owner's journal does not name, if it is at hand."""
    begun = {owner: journal.begun_by(owner) for owner in {trial.owner for trial in trials}}
    return {
        trial.pk
        for trial in trials
        if (known := begun[trial.owner]) is not None and (trial.pk, trial.fence) not in known
    }


def _put_back(ids: Sequence[int]) -> None:
    """As if they had not been touched: the call never went out."""
    Attempt.objects.filter(trial__in=ids, outcome="open", fence=F("trial__fence")).delete()
    Trial.objects.filter(pk__in=ids).update(
        state=TrialState.PENDING,
        owner="",
        fence=F("fence") + 1,
        reserved_tokens=0,
        reserved_cost=0,
        attempt_count=Case(When(attempt_count__gt=0, then=F("attempt_count") - 1), default=0),
    )


def _count_crash(run_id: int, trials: Sequence[Trial]) -> list[Trial]:
    """Returns those that are errored now."""
    ids = [trial.pk for trial in trials]
    _end_attempts(ids)
    final = When(crashes__gte=MAX_CRASHES - 1, then=Value(TrialState.ERRORED))
    Trial.objects.filter(pk__in=ids).update(
        crashes=F("crashes") + 1,
        owner="",
        fence=F("fence") + 1,
        reserved_tokens=0,
        reserved_cost=0,
        finished_at=Case(When(crashes__gte=MAX_CRASHES - 1, then=Now()), default=None),
        error=Case(When(crashes__gte=MAX_CRASHES - 1, then=Value(POISON)), default=Value("")),
        error_kind=Case(When(crashes__gte=MAX_CRASHES - 1, then=Value("poison")), default=Value("")),
        state=Case(final, default=Value(TrialState.PENDING), output_field=CharField()),
    )
    poison = [trial for trial in trials if trial.crashes + 1 >= MAX_CRASHES]
    run = Run.objects.only("id", "total", "judged_id").get(pk=run_id)
    Run.objects.filter(pk=run_id).update(errored=F("errored") + len(poison), sequence=F("sequence") + 1)
    for trial in [] if run.judged_id else poison:
        cell, _ = GridCell.objects.get_or_create(run=run, cell=(trial.seq - 1) // cell_size(run.total))
        GridCell.objects.filter(pk=cell.pk).update(errored=F("errored") + 1)
    return poison


def _say(run_id: int, lost: int, idle: int) -> None:
    text = (
        f"a worker was lost; {lost} items that it held go back to the queue, {lost - idle} of them in flight"
    )
    LogLine.objects.create(run_id=run_id, at=timezone.now(), level="warn", text=text)
