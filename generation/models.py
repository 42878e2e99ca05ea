"""Queries that a model drafts from documents, until people have approved them into a dataset."""

import shutil
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse

from datasets.models import DatasetVersion
from runs.models import Run
from workspaces.models import Workspace


class Stage(models.TextChoices):
    READING = "reading", "Reading the documents"
    REFUSED = "refused", "Refused"
    DRAFTING = "drafting", "Drafting"


class Generation(models.Model):
    """One drafting: a run of a model over passages of documents, and what people made of its drafts.

    `readings` is kept while responses come in: {trial number: why nothing could be read, or ""}.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="generations")
    name = models.CharField(max_length=120, help_text="Of the dataset that is being made")
    # Runs are deleted by plain SQL, so no constraint; then the drafts stay.
    run = models.ForeignKey(
        Run, null=True, on_delete=models.SET_NULL, db_constraint=False, related_name="generations"
    )
    model_name = models.CharField(max_length=200)
    template = models.TextField()
    wanted = models.PositiveIntegerField(help_text="Questions asked for")
    documents = models.JSONField(
        default=list,
        help_text='[{"name": …, "characters": n, "passages": n}]; unread: [{"name": …, "size_bytes": n}]',
    )
    stage = models.CharField(max_length=10, choices=Stage.choices, default=Stage.DRAFTING)
    token = models.CharField(max_length=64, blank=True, editable=False, help_text="Its unread files' folder")
    wish = models.JSONField(default=dict, help_text="Of the run, until it is launched")
    problems = models.JSONField(default=list, help_text="Why it was refused, in words")
    read_count = models.PositiveSmallIntegerField(default=0, help_text="Documents that were read")
    attempt = models.PositiveSmallIntegerField(default=0, help_text="A fence: grows with each reading")
    alive_at = models.DateTimeField(null=True, editable=False, help_text="When the reading last reported")
    readings = models.JSONField(default=dict)
    version = models.ForeignKey(
        DatasetVersion, null=True, on_delete=models.SET_NULL, related_name="+", help_text="What it became"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["workspace", "-id"], name="generation_by_workspace")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(stage__in=list(Stage.values)), name="generation_stage_known"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Loads the workspace."""
        return reverse("generation:detail", args=[self.workspace.slug, self.pk])

    @property
    def folder(self) -> Path:
        """Of documents that wait to be read."""
        return Path(settings.MEDIA_ROOT) / "documents" / str(self.workspace_id) / self.token

    def file(self, number: int) -> Path:
        """The document of that place, from 0."""
        return self.folder / f"{number:04}"

    def files_remove(self) -> None:
        if self.token:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def unread(self) -> list[tuple[int, str]]:
        """(trial number, reason) of responses without a draft that could be read."""
        return sorted((int(seq), reason) for seq, reason in self.readings.items() if reason)


class DraftState(models.TextChoices):
    OPEN = "open", "To decide"
    APPROVED = "approved", "Approved"
    DROPPED = "dropped", "Dropped"


class Draft(models.Model):
    """A question with its reference, as the model wrote it or as a person edited it."""

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="drafts")
    number = models.PositiveIntegerField(help_text="From 1 within the generation")
    question = models.TextField()
    reference = models.TextField()
    choices = models.JSONField(default=list)
    document = models.CharField(max_length=200)
    passage = models.PositiveIntegerField(help_text="Within the document, from 1")
    seq = models.PositiveIntegerField(help_text="The run's trial whose response holds it")
    state = models.CharField(max_length=8, choices=DraftState.choices, default=DraftState.OPEN)
    edited = models.BooleanField(default=False)
    similar_to = models.PositiveIntegerField(null=True, help_text="The number of an earlier, similar draft")
    similarity = models.PositiveSmallIntegerField(null=True, help_text="In per cent")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["generation", "number"], name="drafted_query_number_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=list(DraftState.values)), name="drafted_query_state_known"
            ),
        ]

    def __str__(self) -> str:
        return f"draft {self.number} of generation {self.generation_id}"
