"""The states of runs and trials."""

from django.db import models


class RunStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELED = "canceled", "Canceled"


ACTIVE_STATUSES = (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.PAUSED)
FINISHED_STATUSES = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELED)


class TrialState(models.TextChoices):
    PENDING = "pending", "Pending"
    LEASED = "leased", "In flight"
    WAITING = "waiting", "Waiting to retry"
    DONE = "done", "Done"
    ERRORED = "errored", "Errored"
    CANCELED = "canceled", "Canceled"


LIVE_STATES = (TrialState.PENDING, TrialState.LEASED, TrialState.WAITING)
