"""Judges and their frozen versions.

A run keeps the version that judged it as plain data, `frozen(version)`, in `config["judge"]`:

    {"version_id": 7, "judge_id": 3, "judge": "math-judge", "number": 4, "fingerprint": "9f…",
     "kind": "classify" | "score" | "compare",
     "system_template": "…", "user_template": "…",
     "labels": [{"label": "Correct", "meaning": "…", "passes": true}, …],   # classify, else []
     "minimum": 1.0, "maximum": 5.0, "threshold": 4.0, "integer": true,     # score, else null and false
     "both_orders": true,                                                   # compare, else false
     "repeats": 1, "parameters": {"temperature": 0, "max_tokens": 4096},
     "aggregate": "majority" | "mean", "min_votes": 1,
     "models": [{"model_id": 12, "name": "judge-70b", "alias": "judge", "provider": "vLLM", "position": 1},
                …]}

`model_id` is null once the registered model is deleted. Several models are a panel.
"""

import hashlib
import json
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from evalportal.lib.plugins import UnknownPlugin
from judges.kinds import KINDS
from registry.models import RegisteredModel
from workspaces.models import Workspace

AGGREGATES = {"majority": "What most of them say", "mean": "Mean of their values"}
MOST_REPEATS = 9
MOST_MODELS = 9
GIVEN_UP_AFTER = timedelta(minutes=30)
CONTRACT = 1  # what `judges.asking` adds to the templates: raise it when verdicts change by it


def default_parameters() -> dict[str, Any]:
    """Room enough for a model that reasons before it answers."""
    return {"temperature": 0, "max_tokens": 4096}


class Judge(models.Model):
    """A named series of versions."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="judges")
    name = models.CharField(max_length=60)
    description = models.CharField(max_length=300, blank=True)
    archived_at = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "name"],
                name="judge_name_once",
                violation_error_message="There is a judge of this name already.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Loads the workspace."""
        return reverse("judges:detail", args=[self.workspace.slug, self.pk])


class JudgeVersion(models.Model):
    """What a judge asks and how its answer is read. It never changes after it was made."""

    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(editable=False)
    kind = models.CharField(max_length=20, help_text="classify, score or compare")
    system_template = models.TextField(blank=True, default="")
    user_template = models.TextField()
    labels = models.JSONField(
        default=list, blank=True, help_text='classify: [{"label": …, "meaning": …, "passes": true}]'
    )
    minimum = models.FloatField(null=True, blank=True)
    maximum = models.FloatField(null=True, blank=True)
    threshold = models.FloatField(null=True, blank=True, help_text="A pass from here on")
    integer = models.BooleanField("whole numbers only", default=False)
    both_orders = models.BooleanField(default=True, help_text="compare: ask again with A and B swapped")
    repeats = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_REPEATS)],
        help_text="How often each question is put",
    )
    parameters = models.JSONField(default=default_parameters, blank=True)
    aggregate = models.CharField(max_length=20, default="majority", help_text="Of a panel: majority or mean")
    min_votes = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text="Of a panel: fewer valid votes give no score"
    )
    note = models.CharField(max_length=300, blank=True)
    fingerprint = models.CharField(
        max_length=64, editable=False, help_text="SHA-256 over all that changes its verdicts"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["judge", "number"], name="judge_version_number_once"),
            models.CheckConstraint(
                condition=Q(minimum=None, maximum=None) | Q(minimum__lt=F("maximum")),
                name="judge_version_range",
            ),
            models.CheckConstraint(
                condition=Q(threshold=None) | Q(threshold__gt=F("minimum"), threshold__lte=F("maximum")),
                name="judge_version_threshold_in_range",
            ),
            models.CheckConstraint(
                condition=Q(repeats__gte=1, repeats__lte=MOST_REPEATS), name="judge_version_repeats"
            ),
            models.CheckConstraint(condition=Q(min_votes__gte=1), name="judge_version_min_votes"),
        ]
        indexes = [models.Index(fields=["fingerprint"], name="judge_version_by_fingerprint")]

    def __str__(self) -> str:
        return f"version {self.number} of judge {self.judge_id}"

    def clean(self) -> None:
        try:
            kind = KINDS[self.kind]()
        except UnknownPlugin as error:
            raise ValidationError({"kind": str(error)}) from error
        self._drop_what_kind_lacks()
        problems: dict[str, Any] = kind.problems(fields_of(self))
        if self.aggregate not in AGGREGATES:
            problems["aggregate"] = f"Known: {', '.join(AGGREGATES)}."
        if not isinstance(self.parameters, dict):
            problems["parameters"] = 'Give a JSON object, such as {"temperature": 0}.'
        if problems:
            raise ValidationError(problems)

    def _drop_what_kind_lacks(self) -> None:
        """Fields that only another kind has are emptied: a form hides them, but still sends them."""
        if self.kind != "classify":
            self.labels = []
        if self.kind != "score":
            self.minimum = self.maximum = self.threshold = None
            self.integer = False
        else:
            self.aggregate = "mean"
        if self.kind != "compare":
            self.both_orders = False


class JudgeModel(models.Model):
    """A model that a version asks; its name outlives its registration."""

    version = models.ForeignKey(JudgeVersion, on_delete=models.CASCADE, related_name="judge_models")
    model = models.ForeignKey(RegisteredModel, null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=200)
    alias = models.CharField(max_length=120, blank=True)
    provider = models.CharField(max_length=80, blank=True)
    position = models.PositiveSmallIntegerField(help_text="From 1")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["version", "position"], name="judge_model_position_once"),
            models.UniqueConstraint(fields=["version", "model"], name="judge_model_once"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return self.alias or self.name


class ControlCheck(models.Model):
    """What a version said to responses that must not pass; unfinished while `finished_at` is empty."""

    version = models.ForeignKey(JudgeVersion, on_delete=models.CASCADE, related_name="control_checks")
    n = models.PositiveIntegerField(default=0, help_text="Cases with a verdict")
    false_passes = models.PositiveIntegerField(default=0)
    unscored = models.PositiveIntegerField(default=0, help_text="Cases without a verdict, not in n")
    cases = models.JSONField(
        default=list,
        help_text='[{"key", "title", "question", "response", "passed", "answer", "feedback", "reason"}]',
    )
    problem = models.CharField(max_length=500, blank=True, help_text="Why the check could not be made")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(false_passes__lte=F("n")), name="control_check_counts")
        ]

    def __str__(self) -> str:
        return f"control check {self.pk}"

    @classmethod
    def going_on(cls) -> "models.QuerySet[ControlCheck]":
        """Those that may still come to an end: a lost worker's does not."""
        return cls.objects.filter(finished_at=None, created_at__gt=timezone.now() - GIVEN_UP_AFTER)

    @property
    def is_going_on(self) -> bool:
        return self.finished_at is None and self.created_at > timezone.now() - GIVEN_UP_AFTER


DECIDING = (
    "kind", "system_template", "user_template", "labels", "minimum", "maximum", "threshold", "integer",
    "both_orders", "repeats", "parameters", "aggregate", "min_votes",
)  # fmt: skip


def fields_of(version: JudgeVersion) -> dict[str, Any]:
    """What decides its verdicts apart from the models it asks."""
    return {name: getattr(version, name) for name in DECIDING}


def fingerprint_of(fields: dict[str, Any], asked: list[dict[str, Any]]) -> str:
    """SHA-256 over what decides the verdicts; `asked` are the frozen judge's models."""
    models_asked = [[model["model_id"], model["name"]] for model in asked]
    text = json.dumps([CONTRACT, fields, models_asked], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def model_fields(row: JudgeModel) -> dict[str, Any]:
    """A judge model as the frozen judge holds it."""
    return {
        "model_id": row.model_id,
        "name": row.name,
        "alias": row.alias,
        "provider": row.provider,
        "position": row.position,
    }


def frozen(version: JudgeVersion) -> dict[str, Any]:
    """The version as plain data, in the shape that this module's first lines show. Loads judge and models."""
    return {
        "version_id": version.pk,
        "judge_id": version.judge_id,
        "judge": version.judge.name,
        "number": version.number,
        "fingerprint": version.fingerprint,
        **fields_of(version),
        "models": [model_fields(row) for row in version.judge_models.all()],
    }
