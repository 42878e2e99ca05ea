"""Commands on a run that exists: cancel, pause, resume, retry. Counters move with the trials."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Case, Count, F, Q, QuerySet, When
from django.utils import timezone

from runs import live
from runs.engine import recovery
from runs.engine.leases import lock_run, work_ended
from runs.engine.verdicts import settle_panels
from runs.models import (
    ACTIVE_STATUSES,
    FINISHED_STATUSES,
    LIVE_STATES,
    GridCell,
    LogLine,
    Run,
    RunStatus,
    Trial,
    TrialState,
    cell_size,
)
from runs.tasks import pump
from workspaces import audit
from workspaces.access import Access

PAUSED_WITH_RUN = "Paused with the run that it judges."
CANCELED_WITH_RUN = "Canceled with the run that it judges."


class CannotDo(Exception):
    """The run's state does not allow the command; the message is for people."""


def run_cancel(access: Access, run: Run) -> None:
    """Stops a run and its judgings for good; finished items are kept, and so is what calls in
    flight are answered within a minute. Raises CannotDo."""
    with transaction.atomic():
        if run.judged_id:
            lock_run(run.judged_id)
        stopped = cancel_rows(run, f"Canceled by {access.actor_label}.")
        if stopped is None:
            raise CannotDo("Only a run that is pending, running or paused can be canceled.")
        _say(run, f"canceled by {access.actor_label}, {stopped:,} items not done", level="warn")
        audit.record(access, "run.cancel", f"run {run.pk}", not_done=stopped)
        for judging in run.judgings.order_by("pk"):
            cancel_rows(judging, CANCELED_WITH_RUN)
        settle_panels(run.judged_id or run.pk)
    _tell(run)


def cancel_rows(run: Run, reason: str) -> int | None:
    """How many items were not done; None of a run that has ended."""
    changed = Run.objects.filter(pk=run.pk, status__in=ACTIVE_STATUSES).update(
        **work_ended(), status=RunStatus.CANCELED, status_reason=reason, finished_at=timezone.now()
    )
    if not changed:
        return None
    stopped = Trial.objects.filter(run=run, state__in=LIVE_STATES).update(state=TrialState.CANCELED)
    unmade = Run.objects.filter(pk=run.pk, trials_made=False).values_list("total", flat=True)
    stopped = unmade.first() or stopped
    Run.objects.filter(pk=run.pk).update(canceled=F("canceled") + stopped, sequence=F("sequence") + 1)
    return stopped


def run_pause(access: Access, run: Run) -> None:
    """Takes no further items, also in its judgings; those in flight are finished. Raises CannotDo."""
    with transaction.atomic():
        if not _pause_row(run, f"Paused by {access.actor_label}."):
            raise CannotDo("Only a run that is pending or running can be paused.")
        for judging in run.judgings.order_by("pk"):
            _pause_row(judging, PAUSED_WITH_RUN)
        _say(run, f"paused by {access.actor_label}")
        audit.record(access, "run.pause", f"run {run.pk}")
    _tell(run)


def _pause_row(run: Run, reason: str) -> int:
    return Run.objects.filter(pk=run.pk, status__in=(RunStatus.PENDING, RunStatus.RUNNING)).update(
        **work_ended(), status=RunStatus.PAUSED, status_reason=reason, sequence=F("sequence") + 1
    )


def run_resume(access: Access, run: Run) -> None:
    """Goes on with a paused run, or with the items that a canceled run left undone; its judgings that were
    stopped with it go on as well. Raises CannotDo."""
    with transaction.atomic():
        if not _resume_row(run):
            raise CannotDo("Only a paused run, or a canceled one with items left, can be resumed.")
        for judging in run.judgings.filter(status_reason__in=(PAUSED_WITH_RUN, CANCELED_WITH_RUN)):
            _resume_row(judging, always=True)
            pump.delay_on_commit(judging.pk)
        _say(run, f"resumed by {access.actor_label}")
        audit.record(access, "run.resume", f"run {run.pk}")
        pump.delay_on_commit(run.pk)
    _tell(run)


def _resume_row(run: Run, *, always: bool = False) -> int:
    """A judging may have nothing left to do now and more later: it goes on `always`."""
    lock_run(run.pk)
    recovery.end_abandoned(run_id=run.pk)
    revived = Trial.objects.filter(run=run, state=TrialState.CANCELED).update(
        state=TrialState.PENDING, failures=0, crashes=0
    )
    canceled = Q(status=RunStatus.CANCELED) if revived or always else Q(pk=None)
    unmade = Q(trials_made=False, status__in=FINISHED_STATUSES)
    changed = _back_to_work(run, Q(status=RunStatus.PAUSED) | canceled | unmade)
    Run.objects.filter(pk=run.pk).update(
        canceled=Case(When(trials_made=False, then=0), default=F("canceled") - revived)
    )
    return changed


def run_retry(access: Access, run: Run, trial_ids: Sequence[int] | None = None) -> int:
    """Asks failed items again, all or the given ones; good ones stay. Returns how many. Raises CannotDo."""
    with transaction.atomic():
        lock_run(run.pk)
        failed = Trial.objects.filter(run=run, state=TrialState.ERRORED)
        if trial_ids is not None:
            failed = failed.filter(pk__in=trial_ids)
        per_cell = _errored_per_cell(failed, run.total)
        count = failed.update(
            state=TrialState.PENDING,
            failures=0,
            crashes=0,
            error="",
            error_kind="",
            finished_at=None,
            not_before_ms=0,
        )
        if not count:
            raise CannotDo("There are no failed items to retry.")
        for cell, errored in per_cell.items():
            GridCell.objects.filter(run=run, cell=cell).update(errored=F("errored") - errored)
        Run.objects.filter(pk=run.pk).update(errored=F("errored") - count, sequence=F("sequence") + 1)
        _back_to_work(run, Q(status__in=(*FINISHED_STATUSES, RunStatus.PAUSED)))
        _say(
            run,
            f"{count:,} failed item{' is' if count == 1 else 's are'} asked again, by {access.actor_label}",
        )
        audit.record(access, "run.retry", f"run {run.pk}", items=count)
        pump.delay_on_commit(run.pk)
    _tell(run)
    return count


def _back_to_work(run: Run, condition: Q) -> int:
    """A finished or paused run waits for a worker again; a running one is left alone."""
    return Run.objects.filter(condition, pk=run.pk).update(
        status=RunStatus.PENDING,
        status_reason="Waiting for a worker.",
        finished_at=None,
        sequence=F("sequence") + 1,
    )


def _errored_per_cell(failed: QuerySet[Trial], total: int) -> dict[int, int]:
    size = cell_size(total)
    rows = failed.annotate(cell=(F("seq") - 1) / size).values("cell").annotate(n=Count("id")).order_by()
    return {int(row["cell"]): row["n"] for row in rows}


def _tell(run: Run) -> None:
    """The pages of the run and, once its row is free, of the run that it judges."""
    live.notify(run)
    if judged := run.judged:
        transaction.on_commit(lambda: _tell_judged(judged), robust=True)


def _tell_judged(judged: Run) -> None:
    Run.objects.filter(pk=judged.pk).update(sequence=F("sequence") + 1)
    live.notify(judged)


def _say(run: Run, text: str, level: str = "info") -> None:
    LogLine.objects.create(run=run, at=timezone.now(), level=level, text=text)
