"""Benchmarks with their parts and phases, evaluations of models on them, and gates."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from datasets.models import Dataset, DatasetVersion
from judges.models import JudgeVersion
from judges.templating import DEFAULT_TEMPLATE
from registry.models import RegisteredModel
from runs.models import Evaluation
from workspaces.models import Workspace


class Benchmark(models.Model):
    """What is measured and how: its parts, each with a weight; and when: its phases."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="benchmarks")
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60)
    summary = models.TextField(blank=True, help_text="Markdown; its first line stands under the name")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    public_token = models.CharField(
        max_length=43, blank=True, editable=False, help_text="Who holds it reads the leaderboard"
    )
    archived_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name"], name="benchmark_name_once"),
            models.UniqueConstraint(fields=["workspace", "slug"], name="benchmark_slug_once"),
            models.UniqueConstraint(
                fields=["public_token"], condition=~Q(public_token=""), name="benchmark_token_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Loads the workspace."""
        return reverse("benchmarks:leaderboard", args=[self.workspace.slug, self.pk])

    @property
    def headline(self) -> str:
        """The first line of the summary, without Markdown's marks."""
        lines = [line.strip("# *_`>").strip() for line in self.summary.splitlines()]
        return next((line for line in lines if line), "")


class Measure(models.TextChoices):
    SHARE = "share", "Share passed"
    MEAN = "mean", "Mean score"


class BenchmarkPart(models.Model):
    """One dataset version of a benchmark with its prompt, scoring, primary metric and weight.

    `scorers`: [{"key", "name", "options"}]; `primary` names one of them, or one of the judges.
    """

    benchmark = models.ForeignKey(Benchmark, on_delete=models.CASCADE, related_name="parts")
    position = models.PositiveSmallIntegerField(help_text="From 1")
    version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="benchmark_parts")
    subset = models.JSONField(
        default=dict,
        blank=True,
        help_text="A saved subset: id, name, filter, size, seed; empty: all",
    )
    sections = models.JSONField(default=list, blank=True, help_text="Of the dataset; empty: all")
    limit = models.PositiveIntegerField(null=True, blank=True, help_text="Only the first items")
    template = models.TextField(default=DEFAULT_TEMPLATE)
    params = models.JSONField(default=dict, blank=True)
    scorers = models.JSONField(default=list)
    judges: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(
        JudgeVersion, blank=True, related_name="benchmark_parts"
    )
    primary = models.CharField(max_length=80, help_text="The scorer or judge that counts")
    measure = models.CharField(max_length=5, choices=Measure.choices, default=Measure.SHARE)
    weight = models.FloatField(default=1.0)

    class Meta:
        verbose_name = "benchmark part"
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["benchmark", "position"], name="benchmark_part_once"),
            models.CheckConstraint(condition=Q(weight__gt=0), name="benchmark_part_weight"),
            models.CheckConstraint(
                condition=Q(measure__in=list(Measure.values)), name="benchmark_part_measure"
            ),
        ]

    def __str__(self) -> str:
        return f"part {self.position} of benchmark {self.benchmark_id}"


class Phase(models.Model):
    """A window of a benchmark with a leaderboard of its own: a slice of the items, and limits of runs."""

    class Per(models.TextChoices):
        MODEL = "model", "model"
        PERSON = "person", "person"

    benchmark = models.ForeignKey(Benchmark, on_delete=models.CASCADE, related_name="phases")
    position = models.PositiveSmallIntegerField(help_text="From 1")
    name = models.CharField(max_length=80)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    sections = models.JSONField(default=list, blank=True, help_text="Of each part's; empty: all")
    limit = models.PositiveIntegerField(null=True, blank=True, help_text="Only the first items of each part")
    most_runs = models.PositiveIntegerField(
        null=True, blank=True, help_text="Evaluations per model or person"
    )
    most_per = models.CharField(max_length=6, choices=Per.choices, default=Per.MODEL)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["benchmark", "position"], name="phase_position_once"),
            models.UniqueConstraint(fields=["benchmark", "name"], name="phase_name_once"),
            models.CheckConstraint(
                condition=Q(starts_at=None) | Q(ends_at=None) | Q(starts_at__lt=models.F("ends_at")),
                name="phase_ends_after_it_starts",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def state_at(self, now: datetime) -> str:
        """previous, current or next."""
        if self.ends_at and self.ends_at <= now:
            return "previous"
        return "next" if self.starts_at and self.starts_at > now else "current"

    @property
    def state(self) -> str:
        return self.state_at(timezone.now())


class EvaluationTask(models.Model):
    """Several models asked on several benchmarks at once."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="evaluation_tasks")
    name = models.CharField(max_length=120)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


class BenchmarkEvaluation(models.Model):
    """One model on one benchmark, in one phase if there are phases: an evaluation with a run for each part.

    `frozen` is what was evaluated: {"parts": [{"part", "run", "title", "version", "subset", "sections",
    "limit", "template", "params", "scorers", "judges": [{"id", "fingerprint", "name"}], "primary", "measure",
    "low", "high", "weight"}]}; `low` and `high` are the ends of the primary metric's scale.
    """

    benchmark = models.ForeignKey(Benchmark, on_delete=models.CASCADE, related_name="evaluations")
    phase = models.ForeignKey(Phase, null=True, on_delete=models.PROTECT, related_name="evaluations")
    task = models.ForeignKey(EvaluationTask, null=True, on_delete=models.SET_NULL, related_name="evaluations")
    model = models.ForeignKey(RegisteredModel, null=True, on_delete=models.SET_NULL, related_name="+")
    alias = models.CharField(max_length=120, help_text="The model, as results are grouped")
    evaluation = models.OneToOneField(Evaluation, on_delete=models.CASCADE, related_name="benchmark")
    frozen = models.JSONField(default=dict)
    is_baseline = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["benchmark", "phase", "-id"], name="evaluation_by_phase")]

    def __str__(self) -> str:
        return f"evaluation {self.pk} of {self.alias}"


class Gate(models.Model):
    """A rule that a model must keep to, on a benchmark or on a dataset."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="gates")
    benchmark = models.ForeignKey(
        Benchmark, null=True, blank=True, on_delete=models.CASCADE, related_name="gates"
    )
    dataset = models.ForeignKey(
        Dataset, null=True, blank=True, on_delete=models.CASCADE, related_name="gates"
    )
    rule = models.CharField(max_length=40, help_text="A key of benchmarks.rules.RULES")
    options = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(benchmark__isnull=False, dataset=None) | Q(benchmark=None, dataset__isnull=False),
                name="gate_on_one_thing",
            )
        ]

    def __str__(self) -> str:
        return f"gate {self.pk}"
