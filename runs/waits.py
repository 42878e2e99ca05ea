"""What a run or an item waits for, and until when: read from its own columns, in words for people."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from django.db.models import BooleanField, Count, Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from runs.models import LIVE_STATES, Run, RunStatus, Trial, TrialState

GRACE_S = 5.0  # between the clocks of this machine and the database
# In the words of the partial index `trial_crashed`, so that SQLite uses it.
CRASHED = RawSQL("runs_trial.crashes > 0 AND runs_trial.finished_at IS NULL", [], BooleanField())


def moment_of(ms: int) -> datetime:
    """Of milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def held_until(run: Run) -> datetime | None:
    """When calls to the run's provider may go out again; None while nothing holds them."""
    if run.status not in (RunStatus.PENDING, RunStatus.RUNNING) or not run.held_until_ms:
        return None
    until = moment_of(run.held_until_ms)
    return until if until > timezone.now() else None


def retry_at(trial: Trial) -> datetime | None:
    """When a waiting item is asked again; None if it is due, or does not wait."""
    if trial.state != TrialState.WAITING or not trial.not_before_ms:
        return None
    at = moment_of(trial.not_before_ms)
    return at if at > timezone.now() else None


def lease_ran_out() -> Q:
    """Of trials: nobody has renewed the lease in time, so the worker is lost and the item is asked again."""
    return Q(state=TrialState.LEASED, lease_until_ms__lt=_grace_ms())


def _grace_ms() -> int:
    return int((timezone.now().timestamp() - GRACE_S) * 1000)


def items_lost(runs: Sequence[Run]) -> dict[int, int]:
    """By running run, how many unfinished items a lost worker held; two queries by partial indexes."""
    ids = [run.pk for run in runs if run.status == RunStatus.RUNNING]
    if not ids:
        return {}
    held = Trial.objects.filter(lease_ran_out(), run__in=ids)
    crashed = Trial.objects.filter(CRASHED, run__in=ids).exclude(pk__in=held.values("pk"))
    found: Counter[int] = Counter()
    for rows in (held, crashed):
        found.update(dict(rows.order_by().values_list("run").annotate(n=Count("pk"))))
    return dict(found)


def time_of_day(moment: datetime, *, seconds: bool = False) -> str:
    """14:32 or 14:32:05, with the day in front unless it is today."""
    local, today = timezone.localtime(moment), timezone.localtime().date()
    clock = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
    return clock if local.date() == today else f"{local.day} {local:%b} {clock}"


def item_wait(trial: Trial) -> str:
    """Why an unfinished item is not simply pending or in flight; empty where there is nothing to say."""
    at = retry_at(trial)
    if at is not None:
        asked = trial.error_kind == "rate_limited"
        return f"{'Waiting for provider until' if asked else 'Retry at'} {time_of_day(at, seconds=True)}"
    crashed = trial.crashes and trial.state in (TrialState.PENDING, TrialState.LEASED)
    if crashed or (trial.state == TrialState.LEASED and trial.lease_until_ms < _grace_ms()):
        return "Retrying (worker lost)"
    loaded = Trial._meta.get_field("run").is_cached(trial)  # lists ask nothing of each row
    held = held_until(trial.run) if loaded and trial.state in LIVE_STATES else None
    return f"Waiting for provider until {time_of_day(held, seconds=True)}" if held else ""
