"""What a run or an item waits for, and until when: read from its own columns, in words for people."""

from datetime import UTC, datetime

from django.utils import timezone

from runs.models import Run, RunStatus, Trial, TrialState


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
    if trial.crashes and trial.state in (TrialState.PENDING, TrialState.LEASED):
        return "Retrying (worker lost)"
    return ""
