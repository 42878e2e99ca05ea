"""What is asked: datasets, their frozen versions, items, images."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse

from datasets.mapping.fields import MAX_WEIGHT
from workspaces.models import Workspace


class UploadType(models.TextChoices):
    QUERY = "query", "Query"
    QUERY_RESPONSE = "query_response", "Query + response"


class Dataset(models.Model):
    """A named series of versions."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    licence = models.CharField(max_length=120, blank=True, help_text="Such as MIT or CC-BY-4.0")
    source = models.CharField(
        max_length=300, blank=True, help_text="Where it comes from: an address or words"
    )
    language = models.CharField(max_length=60, blank=True, help_text="Such as en, or en and el")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="dataset_name_once")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Loads the workspace."""
        return reverse("datasets:detail", args=[self.workspace.slug, self.pk])


class DatasetVersion(models.Model):
    """Frozen content of a dataset. It is visible once `ready_at` is set, and never changes after."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    upload_type = models.CharField(max_length=20, choices=UploadType.choices, default=UploadType.QUERY)
    content_hash = models.CharField(
        max_length=64, blank=True, editable=False, help_text="SHA-256 over its items"
    )
    item_count = models.PositiveIntegerField(default=0)
    sections = models.JSONField(
        default=list, help_text='[{"name": …, "items": n}], in order of first appearance'
    )
    response_models = models.JSONField(default=list, help_text="Names of the models with recorded responses")
    source_name = models.CharField(
        max_length=255, blank=True, help_text="The uploaded file's name, as a label only"
    )
    mapping = models.JSONField(default=dict)
    left_out = models.PositiveIntegerField(default=0, help_text="Rows of the file that had problems")
    note = models.CharField(max_length=300, blank=True)
    origin = models.JSONField(
        default=dict,
        blank=True,
        help_text='Where its items come from, unless from a file: {"kind": "edit", "version": n} or '
        '{"kind": "misses", "run": id, "dataset": name, "version": n, "content_hash": …, "filter": {…}}',
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ready_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["dataset", "number"], name="version_number_once")]
        indexes = [models.Index(fields=["content_hash"], name="version_by_content")]

    def __str__(self) -> str:
        return f"version {self.number} of dataset {self.dataset_id}"


class DraftState(models.TextChoices):
    COPYING = "copying", "Being copied"
    OPEN = "open", "Open"
    PUBLISHING = "publishing", "Becoming a version"


class Draft(models.Model):
    """What becomes a dataset's next version: a copy of `base` in a hidden version, edited in place."""

    dataset = models.OneToOneField(Dataset, on_delete=models.CASCADE, related_name="draft")
    base = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="drafts")
    version = models.OneToOneField(DatasetVersion, on_delete=models.CASCADE, related_name="draft")
    state = models.CharField(max_length=10, choices=DraftState.choices, default=DraftState.COPYING)
    problem = models.CharField(max_length=300, blank=True, help_text="Why the last attempt to publish failed")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=list(DraftState.values)), name="draft_state_known"
            )
        ]

    def __str__(self) -> str:
        return f"draft of dataset {self.dataset_id}"


class Subset(models.Model):
    """A named part of a dataset, found anew in each version: a filter, then a sample or the first items."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="subsets")
    name = models.CharField(max_length=120)
    filter = models.JSONField(default=dict, blank=True, help_text="As in the item browser's address")
    size = models.PositiveIntegerField(null=True, help_text="Items at most; empty for all that fit")
    seed = models.PositiveIntegerField(
        null=True, help_text="Draws `size` items at random; empty takes the first"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["dataset", "name"], name="subset_name_once")]

    def __str__(self) -> str:
        return self.name


class UploadState(models.TextChoices):
    """Where an uploaded file is on its way to a version."""

    FETCHING = "fetching", "Fetching"
    CHECKING = "checking", "Map and check"
    QUEUED = "queued", "Waiting for a worker"
    IMPORTING = "importing", "Importing"
    REFUSED = "refused", "Refused"
    DONE = "done", "Imported"


class Upload(models.Model):
    """A file that someone is about to import. It belongs to that person and lives for a day."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="uploads")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads")
    token = models.CharField(max_length=64, unique=True, editable=False, help_text="Random; its file name")
    source_name = models.CharField(max_length=255, help_text="The uploaded file's name, as a label only")
    format = models.CharField(max_length=20)
    size_bytes = models.PositiveBigIntegerField()
    dataset_name = models.CharField(max_length=120, blank=True)
    note = models.CharField(max_length=300, blank=True)
    mapping = models.JSONField(default=dict)
    leave_out = models.BooleanField(default=False, help_text="Import without the rows that have problems")
    origin = models.JSONField(default=dict, blank=True, help_text="Of a hub: repo, revision, config, split")
    state = models.CharField(max_length=10, choices=UploadState.choices, default=UploadState.CHECKING)
    attempt = models.PositiveIntegerField(default=0, help_text="A fence: grows with each import")
    progress_done = models.PositiveBigIntegerField(default=0)
    progress_total = models.PositiveBigIntegerField(default=0)
    alive_at = models.DateTimeField(null=True, editable=False, help_text="When the import last reported")
    problems = models.JSONField(default=list)
    problem_count = models.PositiveIntegerField(default=0)
    version = models.ForeignKey(DatasetVersion, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), db_index=True, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=list(UploadState.values)), name="upload_state_known"
            )
        ]

    def __str__(self) -> str:
        return f"upload {self.pk}"

    @property
    def path(self) -> Path:
        return Path(settings.MEDIA_ROOT) / "uploads" / str(self.workspace_id) / self.token

    @property
    def problems_path(self) -> Path:
        """Every problem that the last check found."""
        return self.path.with_name(f"{self.token}.problems")


class SavedMapping(models.Model):
    """A mapping kept under a name for the next file of that kind."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="saved_mappings")
    name = models.CharField(max_length=120)
    mapping = models.JSONField(default=dict)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="saved_mapping_once")]

    def __str__(self) -> str:
        return self.name


class Asset(models.Model):
    """An image of a workspace, stored once under its hash; its path never comes from an upload."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="assets")
    sha256 = models.CharField(max_length=64)
    media_type = models.CharField(max_length=40)
    size_bytes = models.PositiveIntegerField()
    width_px = models.PositiveIntegerField()
    height_px = models.PositiveIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "sha256"], name="asset_once")]

    def __str__(self) -> str:
        return self.sha256[:12]

    @property
    def path(self) -> Path:
        return Path(settings.MEDIA_ROOT) / "assets" / str(self.workspace_id) / self.sha256[:2] / self.sha256


def weight_in(metadata: Mapping[str, Any]) -> float:
    """How much an item with this metadata counts; 1 where it says nothing that makes sense."""
    held = metadata.get("weight")
    if isinstance(held, int | float) and not isinstance(held, bool) and 0 < held <= MAX_WEIGHT:
        return float(held)
    return 1.0


class Item(models.Model):
    """One question of a version: what the model is shown, and what a scorer may compare with."""

    version = models.ForeignKey(DatasetVersion, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveIntegerField(help_text="From 1, in the file's order")
    external_id = models.CharField(max_length=200, blank=True)
    section = models.CharField(max_length=120, blank=True)
    prompt = models.TextField(help_text="The input as text; for a chat, its last user message")
    messages = models.JSONField(null=True, blank=True, help_text='Chat input: [{"role": …, "content": …}]')
    choices = models.JSONField(
        default=list, blank=True, help_text="Answer options as text, in order A, B, C…"
    )
    references = models.JSONField(
        default=list, blank=True, help_text="Right answers as text; any of them counts"
    )
    responses = models.JSONField(default=dict, blank=True, help_text="Recorded responses by model name")
    metadata = models.JSONField(default=dict, blank=True)
    tags = models.TextField(
        blank=True, default="", db_default="", help_text="Lower case, each between bars: |hard|to check|"
    )
    key = models.CharField(
        max_length=32,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="The same item in every version",
    )
    digest = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False,
        help_text="SHA-256 of its content; empty while a draft owes it",
    )  # fmt: skip
    assets: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(
        Asset, through="ItemAsset", related_name="items"
    )

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["version", "position"], name="item_position_once")]
        indexes = [
            models.Index(fields=["version", "section", "position"], name="item_by_section"),
            models.Index(fields=["version", "key"], name="item_by_key"),
        ]

    def __str__(self) -> str:
        return f"item {self.position} of version {self.version_id}"

    @property
    def tag_list(self) -> list[str]:
        return [tag for tag in self.tags.split("|") if tag]

    @property
    def pair(self) -> list[tuple[str, str, str]]:
        """Of two responses to compare: (letter, model, text) of A and of B; empty for other items."""
        names = self.metadata.get("pair")
        if not isinstance(names, list) or len(names) != 2 or not all(isinstance(name, str) for name in names):
            return []
        sides = zip("AB", names, strict=True)
        found = [(letter, name, self.responses[name]) for letter, name in sides if name in self.responses]
        return found if len(found) == 2 else []

    @property
    def pair_names(self) -> list[str]:
        return [f"{letter}: {model}" for letter, model, _ in self.pair]

    @property
    def rubric(self) -> str:
        """How to judge this item, for people; lists and objects as JSON text."""
        held = self.metadata.get("rubric", "")
        return held if isinstance(held, str) else json.dumps(held, ensure_ascii=False, indent=1)

    @property
    def weight(self) -> float:
        """How much it counts, beside 1 of an item that says nothing."""
        return weight_in(self.metadata)

    @property
    def weight_text(self) -> str:
        """Empty for an item that says nothing."""
        return f"{self.weight:.12g}" if self.metadata.get("weight") else ""

    @property
    def passages(self) -> list[str]:
        """Retrieved context that goes with the question."""
        held = self.metadata.get("context")
        return [str(passage) for passage in held] if isinstance(held, list) else []

    @property
    def plain_metadata(self) -> dict[str, Any]:
        """Without what pages show as fields of their own."""
        shown = {"rubric", "weight"} | ({"pair"} if self.pair else set())
        shown |= {"context"} if self.passages else set()
        return {name: value for name, value in self.metadata.items() if name not in shown}


class ItemAsset(models.Model):
    """The images of an item, in order."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="item_assets")
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="item_assets")
    position = models.PositiveSmallIntegerField()
    label = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["item", "position"], name="item_asset_position_once")]

    def __str__(self) -> str:
        return f"asset {self.position} of item {self.item_id}"


class Paraphrase(models.Model):
    """An item's question in other words, drafted by a model and decided on by a person.

    An approved one has a number within its item and keeps its words for good: runs were asked with it. One
    that is withdrawn is not launched again.
    """

    class State(models.TextChoices):
        OPEN = "open", "To decide"
        APPROVED = "approved", "Approved"
        DROPPED = "dropped", "Dropped"
        WITHDRAWN = "withdrawn", "Withdrawn"
        UNREAD = "unread", "Could not be read"

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="paraphrases")
    number = models.PositiveSmallIntegerField(null=True, help_text="From 1 within the item, once approved")
    text = models.TextField(help_text="Or why the response could not be read")
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    model_name = models.CharField(max_length=200)
    run_id = models.BigIntegerField(help_text="That drafted it; it may be gone")
    seq = models.PositiveIntegerField(help_text="The run's trial whose response holds it")
    edited = models.BooleanField(default=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["item", "number"], name="paraphrase_number_once"),
            models.CheckConstraint(
                condition=~models.Q(state="approved") | models.Q(number__isnull=False),
                name="paraphrase_approved_numbered",
            ),
        ]
        indexes = [models.Index(fields=["run_id", "seq"], name="paraphrase_by_trial")]

    def __str__(self) -> str:
        return f"paraphrase {self.number or self.pk} of item {self.item_id}"
