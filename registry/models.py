"""Endpoints that serve models, and the models a team may use. The admin edits them; the portal reads."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from evalportal.lib.plugins import UnknownPlugin
from evalportal.lib.secret_fields import EncryptedTextField
from registry import rules
from registry.protocols import PROTOCOLS
from workspaces.models import Workspace

SHARED = models.Value(0, output_field=models.BigIntegerField())  # in place of an empty foreign key
MAX_ANCESTORS = 50
HEALTH_FRESH = timedelta(minutes=5)


class Source(models.TextChoices):
    """Where a model comes from."""

    PLATFORM = "platform", "Platform"
    DEDICATED = "dedicated", "Dedicated endpoint"
    EXTERNAL = "external", "External"
    RUNNING = "running", "Running"
    TRAINED = "trained", "Trained"
    HUGGING_FACE = "hugging_face", "Hugging Face"
    NAME_ONLY = "name_only", "By name only"


class Health(models.TextChoices):
    """What the latest probe found."""

    UNKNOWN = "unknown", "Not checked"
    OK = "ok", "Reachable"
    FAILING = "failing", "Failing"


class Capability(models.TextChoices):
    VISION = "vision", "Sees images"
    STREAMING = "streaming", "Streams"
    JSON_SCHEMA = "json_schema", "Answers in a JSON schema"


class Probed(models.Model):
    """The latest health probe of something that can be called."""

    health = models.CharField(max_length=10, choices=Health.choices, default=Health.UNKNOWN, editable=False)
    health_checked_at = models.DateTimeField(null=True, editable=False)
    health_latency_ms = models.PositiveIntegerField(null=True, editable=False)
    health_detail = models.CharField(max_length=500, blank=True, editable=False)

    class Meta:
        abstract = True

    @property
    def health_is_stale(self) -> bool:
        """Whether the latest probe is too old to tell the present."""
        return self.health_checked_at is not None and timezone.now() - self.health_checked_at > HEALTH_FRESH


class Provider(Probed):
    """An endpoint with its key and limits; without a workspace it is shared with all of them."""

    workspace = models.ForeignKey(
        Workspace,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="providers",
        help_text="Empty: shared with every workspace",
    )
    name = models.CharField(max_length=80)
    protocol = models.CharField(max_length=40, default="openai_chat", help_text="The wire format it speaks")
    base_url = models.CharField(
        "base URL",
        max_length=500,
        validators=[rules.check_base_url],
        help_text="Up to and including /v1, as the provider's documentation gives it",
    )
    api_key = EncryptedTextField("API key", blank=True, default="")
    headers = EncryptedTextField(blank=True, default="", help_text="Extra request headers, as a JSON object")
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    concurrency = models.PositiveIntegerField(
        default=16,
        validators=[MinValueValidator(1), MaxValueValidator(4096)],
        help_text="Calls in flight at most",
    )
    timeout_s = models.PositiveIntegerField(
        default=120,
        validators=[MinValueValidator(1), MaxValueValidator(3600)],
        help_text="For one whole call",
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            # Coalesce, since SQLite counts two empty workspaces as different
            models.UniqueConstraint(
                Coalesce("workspace", SHARED),
                "name",
                name="provider_name_once",
                violation_error_message="There is a provider of this name already.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            PROTOCOLS[self.protocol]
        except UnknownPlugin as error:
            raise ValidationError({"protocol": str(error)}) from error


class RegisteredModel(Probed):
    """An exact model name at a provider, or a name only, for responses that are already recorded."""

    workspace = models.ForeignKey(
        Workspace,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="registered_models",
        help_text="Empty: shared with every workspace",
    )
    provider = models.ForeignKey(
        Provider, null=True, blank=True, on_delete=models.CASCADE, related_name="registered_models"
    )
    source = models.CharField(max_length=20, choices=Source.choices, default=Source.PLATFORM)
    name = models.CharField(max_length=200, help_text="Exactly as the provider names it")
    alias = models.CharField(
        max_length=120, blank=True, help_text="Results are grouped by this; empty means the name"
    )
    capabilities = models.JSONField(default=list, blank=True, help_text="Of: vision, streaming, json_schema")
    embeds = models.BooleanField(
        "embeds texts",
        default=False,
        help_text="It turns texts into vectors, for the scorer semantic similarity, and answers nothing",
    )
    default_params = models.JSONField(
        default=dict, blank=True, help_text="Sent unless the launch says otherwise"
    )
    input_price = models.DecimalField(
        "input price per million tokens",
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
    )
    output_price = models.DecimalField(
        "output price per million tokens",
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
    )
    endpoint_id = models.CharField(max_length=200, blank=True, help_text="Of a dedicated endpoint")
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="fine_tunes",
        help_text="The model that this one was trained from",
    )
    hf_repo = models.CharField("Hugging Face repo id", max_length=200, blank=True)
    hf_revision = models.CharField("revision", max_length=100, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["alias", "name"]
        constraints = [
            models.UniqueConstraint(
                Coalesce("workspace", SHARED),
                Coalesce("provider", SHARED),
                "name",
                name="model_name_once",
                violation_error_message="This model is registered at this provider already.",
            ),
            models.CheckConstraint(
                condition=Q(source=Source.NAME_ONLY, provider=None)
                | (~Q(source=Source.NAME_ONLY) & Q(provider__isnull=False)),
                name="model_has_provider_unless_name_only",
            ),
            models.CheckConstraint(
                condition=Q(parent=None) | ~Q(parent=F("id")), name="model_not_its_own_parent"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return self.alias or self.name

    @property
    def is_callable(self) -> bool:
        return self.provider_id is not None

    @property
    def sees_images(self) -> bool:
        return Capability.VISION in self.capabilities

    @property
    def streams(self) -> bool:
        return Capability.STREAMING in self.capabilities

    def clean(self) -> None:
        self._drop_what_source_lacks()
        problems: dict[str, Any] = {}
        unknown = set(self.capabilities or []) - set(Capability.values)
        if unknown:
            problems["capabilities"] = f"unknown: {', '.join(sorted(map(str, unknown)))}"
        if not isinstance(self.default_params, dict):
            problems["default_params"] = 'a JSON object, such as {"temperature": 0}'
        if self.source != Source.NAME_ONLY and self.provider_id is None:
            problems["provider"] = "choose the provider that serves it"
        if self.source == Source.HUGGING_FACE and not self.hf_repo:
            problems["hf_repo"] = "name the repository, such as org/model"
        if self.source == Source.DEDICATED and not self.endpoint_id:
            problems["endpoint_id"] = "name the endpoint"
        problems |= self._provider_problems() | self._parent_problems()
        if problems:
            raise ValidationError(problems)

    def _drop_what_source_lacks(self) -> None:
        """Fields that only another source has are emptied: a form hides them, but still sends them."""
        if self.source == Source.NAME_ONLY:
            self.provider = None
        if self.source != Source.DEDICATED:
            self.endpoint_id = ""
        if self.source != Source.TRAINED:
            self.parent = None
        if self.source != Source.HUGGING_FACE:
            self.hf_repo = self.hf_revision = ""

    def _parent_problems(self) -> dict[str, Any]:
        """Loads the parent and its parents."""
        above, steps = self.parent, 0
        if above and above.workspace_id not in (None, self.workspace_id):
            return {"parent": "this model belongs to another workspace"}
        while above and steps < MAX_ANCESTORS:
            if above.pk == self.pk:
                return {"parent": "a model cannot descend from itself"}
            above, steps = above.parent, steps + 1
        return {}

    def _provider_problems(self) -> dict[str, Any]:
        """A workspace's provider, and with it its key, serves that workspace alone. Loads the provider."""
        owner = self.provider.workspace_id if self.provider else None
        if owner is not None and owner != self.workspace_id:
            return {"provider": "this provider belongs to another workspace than the model"}
        return {}
