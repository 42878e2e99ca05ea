"""Evaluations and their runs, with the counters and sums that the engine keeps, and the log."""

from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from datasets.models import DatasetVersion
from registry.models import RegisteredModel
from runs.models.states import FINISHED_STATUSES, RunStatus
from runs.variations import Variants, variants_of
from workspaces.models import Workspace


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
    [{"key", "name", "options", "title"; of one that asks a model also "judging" (id of the run), "model"}],
    "epochs": int, "variations": [{"key", "title", "options", "titles"}] (left out where there are none),
    "concurrency": int, "max_failures": int,
    "cache": bool, "responses": "fresh" | "recorded" | "by_hand", "recorded_name": str, "model": {"name",
    "alias", "source", "provider", "protocol", "base_url", "capabilities", "input_price", "output_price"},
    "dataset": {"name", "version", "content_hash"}, "judges": [{"key": "judge", "name", "title", "kind",
    "version" (id), "panel", "judging" (id of the run; null for a panel)}]}; of a judging also "judge": its
    frozen version.
    A *judging* (docs/adr/0005-judging.md) is a run that asks a judge model about the responses of another,
    `judged`; `opponent` is the run that it is compared with.
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
    judged = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.CASCADE,
        related_name="judgings",
        help_text="Of a judging: the run whose responses it reads",
    )
    opponent = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.SET_NULL,
        related_name="opposed",
        help_text="Of a judging that compares: the run with the other responses",
    )
    scorer = models.CharField(
        max_length=80, db_default="", default="", help_text="Of a judging: the name its scores have"
    )
    panel = models.CharField(
        max_length=80, db_default="", default="", help_text="Of a judging: the panel it is a member of"
    )
    passes = models.PositiveSmallIntegerField(
        db_default=1, default=1, help_text="Of a judging: how often it asks for each response"
    )
    config = models.JSONField(default=dict)
    summary = models.JSONField(default=dict)

    trials_made = models.BooleanField(
        db_default=True, default=True, help_text="Of a large launch false, until a worker has made them"
    )
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    errored = models.PositiveIntegerField(default=0)
    canceled = models.PositiveIntegerField(default=0)
    answered = models.PositiveIntegerField(default=0, help_text="Done trials whose response is not empty")
    retried = models.PositiveIntegerField(default=0, help_text="Trials that needed more than one attempt")
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    usage_estimated = models.BooleanField(
        db_default=False,
        default=False,
        help_text="Some answers came without usage; a ceiling counts it all the same",
    )
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
    def all_scorers(self) -> list[dict[str, Any]]:
        """Those of code, then judges (`key` is "judge"); the first one's verdict is the trial's own."""
        return [*self.config.get("scorers", []), *self.config.get("judges", [])]

    @property
    def is_judged(self) -> bool:
        """Whether judgings score it, too: judges, or scorers that ask a model."""
        asking = any("judging" in scorer for scorer in self.config.get("scorers", []))
        return asking or bool(self.config.get("judges"))

    @cached_property
    def variants(self) -> Variants:
        """The ways in which items are asked; of a judging, those of the run that it judges (loads it)."""
        return variants_of(self.judged.config, self.passes) if self.judged else variants_of(self.config)

    @property
    def scorer_names(self) -> list[str]:
        return [scorer["name"] for scorer in self.all_scorers]


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


GRID_CELLS = 240


def cell_size(total: int) -> int:
    """Trials per cell of the progress grid, so that at most GRID_CELLS are drawn."""
    return max(1, -(-total // GRID_CELLS))
