"""What was launched and what came of it: evaluations, runs, trials, attempts, scores, log lines.

Counters (on Run, Tally and GridCell) move in the same transaction as the trials they count;
`runs.engine.check.check_run` compares them with COUNT(*). Times that the engine compares are
milliseconds since the epoch by the database's clock (`…_ms`), so both databases agree on them.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from datasets.models import DatasetVersion, Item
from registry.models import Provider, RegisteredModel
from workspaces.models import Workspace


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


class Evaluation(models.Model):
    """One launch: target models × a dataset version × scoring; a set of runs."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="evaluations")
    name = models.CharField(max_length=200)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["workspace", "-id"], name="evaluation_by_workspace")]

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One target model × one dataset version × one frozen configuration.

    `config` (frozen at launch, no secrets): {"template": str, "params": {…}, "scorers":
    [{"key", "name", "options"}], "epochs": int, "concurrency": int, "max_failures": int,
    "cache": bool, "responses": "fresh" | "recorded", "recorded_name": str, "model": {"name", "alias",
    "source", "provider", "protocol", "base_url", "capabilities", "input_price", "output_price"},
    "dataset": {"name", "version", "content_hash"}}.
    `summary` is kept by the engine: {"latency": {"p50", "p50_low", "p50_high", "p95", "p95_low",
    "p95_high", "n"}, "sections": {name: {"p50", "n"}}}, latencies in ms.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="runs")
    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="runs")
    model = models.ForeignKey(RegisteredModel, null=True, on_delete=models.SET_NULL, related_name="runs")
    dataset_version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="runs")
    status = models.CharField(max_length=10, choices=RunStatus.choices, default=RunStatus.PENDING)
    status_reason = models.TextField(
        blank=True, help_text="Why it waits, was paused or failed, in words for people"
    )
    alias = models.CharField(max_length=120, help_text="Results are grouped by this")
    label = models.CharField(max_length=120, blank=True)
    config = models.JSONField(default=dict)
    summary = models.JSONField(default=dict)

    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    errored = models.PositiveIntegerField(default=0)
    canceled = models.PositiveIntegerField(default=0)
    answered = models.PositiveIntegerField(default=0, help_text="Done trials whose response is not empty")
    retried = models.PositiveIntegerField(default=0, help_text="Trials that needed more than one attempt")
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    cost = models.DecimalField(
        max_digits=18, decimal_places=8, null=True, help_text="Empty where a price is unknown"
    )

    sequence = models.PositiveBigIntegerField(default=0, help_text="Grows with every change a page may show")
    cost_ceiling = models.DecimalField(
        max_digits=14, decimal_places=4, null=True, help_text="In dollars; the run pauses before it is passed"
    )
    token_ceiling = models.PositiveBigIntegerField(
        null=True, help_text="Input and output tokens together; the run pauses before it is passed"
    )
    cached = models.PositiveIntegerField(
        default=0, help_text="Done trials answered by an earlier, identical call"
    )
    held_until_ms = models.BigIntegerField(
        default=0, help_text="No call goes out before then: the provider asked, or is being left alone"
    )
    held_reason = models.CharField(max_length=300, blank=True, help_text="Why, in words for people")
    working_since_ms = models.BigIntegerField(default=0, help_text="Start of the present span of work, or 0")
    worked_ms = models.PositiveBigIntegerField(default=0, help_text="Earlier spans of work together")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=list(RunStatus.values)), name="run_status_known")
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="run_by_workspace"),
            models.Index(fields=["workspace", "status", "-id"], name="run_by_status"),
            models.Index(fields=["workspace", "-finished_at", "-id"], name="run_by_finish"),
            models.Index(fields=["status"], name="run_live", condition=Q(status__in=["pending", "running"])),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}"

    def get_absolute_url(self) -> str:
        """Loads the workspace."""
        return reverse("runs:inspector", args=[self.workspace.slug, self.pk])

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED_STATUSES

    @property
    def terminal(self) -> int:
        return self.done + self.errored + self.canceled

    @property
    def scorer_names(self) -> list[str]:
        return [scorer["name"] for scorer in self.config.get("scorers", [])]


class Trial(models.Model):
    """One item of a run in one epoch. Columns have database defaults: a launch inserts by SELECT."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="trials")
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="trials")
    epoch = models.PositiveSmallIntegerField(db_default=1)
    seq = models.PositiveIntegerField(
        help_text="From 1 within the run; the order of work, pages and the grid"
    )
    section = models.CharField(max_length=120, db_default="", help_text="The item's, kept here for filters")

    state = models.CharField(max_length=8, choices=TrialState.choices, db_default=TrialState.PENDING)
    fence = models.PositiveIntegerField(
        db_default=0, help_text="Grows with each lease; an older holder writes nothing"
    )
    owner = models.CharField(max_length=64, db_default="")
    lease_until_ms = models.BigIntegerField(db_default=0)
    not_before_ms = models.BigIntegerField(db_default=0)
    crashes = models.PositiveSmallIntegerField(db_default=0, help_text="Leases that ran out")
    failures = models.PositiveSmallIntegerField(
        db_default=0, help_text="Failed calls that count against the limit"
    )
    attempt_count = models.PositiveSmallIntegerField(db_default=0)

    response = models.TextField(db_default="")
    finish_reason = models.CharField(max_length=40, db_default="")
    error_kind = models.CharField(max_length=40, db_default="")
    error = models.TextField(db_default="", help_text="What happened, in words for people")
    reserved_tokens = models.PositiveBigIntegerField(
        db_default=0, help_text="Held back from the run's ceiling while it is leased"
    )
    reserved_cost = models.DecimalField(max_digits=14, decimal_places=8, db_default=0)
    cache_key = models.CharField(
        max_length=32, db_default="", help_text="What was asked, in this workspace; empty without the cache"
    )
    cached = models.BooleanField(db_default=False, help_text="Answered by an earlier, identical call")
    passed = models.BooleanField(null=True, help_text="The first scorer's verdict; empty when unscored")
    answer = models.TextField(db_default="", help_text="What the first scorer read out of the response")
    latency_ms = models.PositiveIntegerField(
        null=True, help_text="Of the accepted call; empty for recorded responses"
    )
    first_token_ms = models.PositiveIntegerField(null=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    cost = models.DecimalField(max_digits=14, decimal_places=8, null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["seq"]
        constraints = [
            models.UniqueConstraint(fields=["run", "item", "epoch"], name="trial_once"),
            models.UniqueConstraint(fields=["run", "seq"], name="trial_seq_once"),
            models.CheckConstraint(condition=Q(state__in=list(TrialState.values)), name="trial_state_known"),
        ]
        indexes = [
            models.Index(fields=["run", "state", "seq"], name="trial_by_state"),
            models.Index(fields=["run", "passed", "seq"], name="trial_by_verdict"),
            models.Index(fields=["run", "section", "seq"], name="trial_by_section"),
            models.Index(fields=["lease_until_ms"], name="trial_leases", condition=Q(state="leased")),
            models.Index(
                fields=["cache_key"], name="trial_cache", condition=Q(state="done") & ~Q(cache_key="")
            ),
        ]

    def __str__(self) -> str:
        return f"trial {self.pk}"


class Attempt(models.Model):
    """One outbound call for a trial, on record before it goes out; finished once, never changed after."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts")
    trial = models.ForeignKey(Trial, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    fence = models.PositiveIntegerField()
    outcome = models.CharField(
        max_length=40, db_default="open", help_text="open, ok, lost (its worker died), or the kind of error"
    )
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.TextField(db_default="", help_text="In words, then the raw body's beginning")
    retry_after_ms = models.PositiveIntegerField(null=True, help_text="What the provider asked for")
    wait_ms = models.PositiveBigIntegerField(null=True, help_text="Until the next attempt, as it was decided")
    latency_ms = models.PositiveIntegerField(null=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["trial", "number"], name="attempt_once")]
        indexes = [
            models.Index(
                fields=["run", "id"], name="attempt_failed", condition=~Q(outcome__in=["open", "ok"])
            )
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of trial {self.trial_id}"


class Score(models.Model):
    """One scorer's verdict on one trial: a value, or a reason why there is none (never 0)."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="scores")
    trial = models.ForeignKey(Trial, on_delete=models.CASCADE, related_name="scores")
    scorer = models.CharField(max_length=80, help_text="The name it has in the run's configuration")
    value = models.FloatField(null=True)
    passed = models.BooleanField(null=True)
    answer = models.TextField(db_default="", help_text="What was read out of the response")
    explanation = models.TextField(db_default="", help_text="Which rule found it, and why it passed or not")
    unscored_reason = models.CharField(max_length=200, db_default="")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["trial", "scorer"], name="score_once"),
            models.CheckConstraint(
                condition=Q(value__isnull=False, unscored_reason="")
                | (Q(value=None) & ~Q(unscored_reason="")),
                name="score_value_or_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scorer} of trial {self.trial_id}"


class Tally(models.Model):
    """Running sums of one scorer over one section of a run; the whole run is the sum of its sections."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tallies")
    scorer = models.CharField(max_length=80)
    section = models.CharField(max_length=120, blank=True)
    scored = models.PositiveIntegerField(db_default=0)
    passed = models.PositiveIntegerField(db_default=0)
    unscored = models.PositiveIntegerField(db_default=0)
    value_sum = models.FloatField(db_default=0.0)
    value_sum_squares = models.FloatField(db_default=0.0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "scorer", "section"], name="tally_once")]

    def __str__(self) -> str:
        return f"tally of {self.scorer} in run {self.run_id}"


class GridCell(models.Model):
    """One cell of the progress grid: ⌈total/240⌉ trials by seq. `cell` counts from 0."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="cells")
    cell = models.PositiveSmallIntegerField()
    done = models.PositiveIntegerField(db_default=0)
    passed = models.PositiveIntegerField(db_default=0)
    errored = models.PositiveIntegerField(db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "cell"], name="cell_once")]

    def __str__(self) -> str:
        return f"cell {self.cell} of run {self.run_id}"


class LogLine(models.Model):
    """A line of a run's log, for people."""

    class Level(models.TextChoices):
        INFO = "info"
        WARN = "warn"
        ERROR = "error"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="log_lines")
    at = models.DateTimeField()
    level = models.CharField(max_length=5, choices=Level.choices, db_default="info")
    text = models.TextField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["run", "id"], name="log_by_run")]

    def __str__(self) -> str:
        return self.text


class PumpLease(models.Model):
    """A process that executes a run, until then by the database's clock. Several may share one run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="pumps")
    owner = models.CharField(max_length=64)
    until_ms = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "owner"], name="pump_once")]
        indexes = [models.Index(fields=["until_ms"], name="pump_by_expiry")]

    def __str__(self) -> str:
        return f"pump of run {self.run_id} by {self.owner}"


class Worker(models.Model):
    """A process with an engine, as it last reported itself; the status page and the metrics read it."""

    owner = models.CharField(max_length=64, unique=True, help_text="The name it signs leases with")
    machine = models.CharField(max_length=60)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_ms = models.BigIntegerField(help_text="By the database's clock")
    runs = models.PositiveIntegerField(default=0, help_text="That it executes now")
    in_flight = models.PositiveIntegerField(default=0, help_text="Calls that it waits for now")
    memory_mb = models.PositiveIntegerField(default=0, help_text="Resident")

    def __str__(self) -> str:
        return self.owner


class ProviderHold(models.Model):
    """What all processes must know of a provider before they call it: its pause and its circuit breaker."""

    provider = models.OneToOneField(Provider, on_delete=models.CASCADE, related_name="hold")
    closed_until_ms = models.BigIntegerField(default=0, help_text="It asked for a pause until then")
    open_until_ms = models.BigIntegerField(default=0, help_text="Its circuit is open; then one probe is sent")
    failures = models.PositiveIntegerField(default=0, help_text="In a row, over all processes")
    probe_owner = models.CharField(max_length=64, blank=True, help_text="Who sends the probe")
    reason = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"hold of {self.provider_id}"


class ProviderDemand(models.Model):
    """How many calls a process wants in flight at a provider; its share of the limits is its share of all."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="demands")
    owner = models.CharField(max_length=64)
    wanted = models.PositiveIntegerField()
    limit = models.FloatField(help_text="How many it lets in flight now")
    in_flight = models.PositiveIntegerField(default=0)
    until_ms = models.BigIntegerField(help_text="It counts until then")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "owner"], name="demand_once")]

    def __str__(self) -> str:
        return f"demand of {self.owner} on {self.provider_id}"


class MonthlySpend(models.Model):
    """What a workspace's calls of one month (UTC) came to; moves with the run's own counters."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="spends")
    month = models.DateField(help_text="Its first day")
    cost = models.DecimalField(max_digits=18, decimal_places=8, db_default=0)
    tokens = models.PositiveBigIntegerField(db_default=0)
    calls = models.PositiveBigIntegerField(db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "month"], name="spend_once")]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} of workspace {self.workspace_id}"


GRID_CELLS = 240


def cell_size(total: int) -> int:
    """Trials per cell of the progress grid, so that at most GRID_CELLS are drawn."""
    return max(1, -(-total // GRID_CELLS))
