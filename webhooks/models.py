"""A workspace's webhook, and each delivery to it."""

from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from evalportal.lib.secret_fields import EncryptedTextField
from workspaces.models import Workspace


class Webhook(models.Model):
    """Where a workspace pushes to. The secret signs what is sent; it is shown once, when it is made."""

    workspace = models.OneToOneField(Workspace, on_delete=models.CASCADE, related_name="webhook")
    url = models.CharField(max_length=500)
    secret = EncryptedTextField(editable=False)
    sends_link = models.BooleanField(default=False, help_text="A link to the file instead of its lines")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"webhook of workspace {self.workspace_id}"

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class Delivery(models.Model):
    """One thing to push. A worker sends it when `next_at` has come, and again later if it must."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    token = models.CharField(max_length=64, unique=True, editable=False, help_text="Random; its file name")
    event = models.CharField(max_length=40, help_text="noun.verb, such as misses.push")
    subject = models.CharField(max_length=120, help_text="What it is about, such as run 12")
    about = models.JSONField(default=dict, help_text="Sent along: where the file comes from")
    filename = models.CharField(max_length=120, blank=True, help_text="Empty: nothing but `about` is sent")
    size_bytes = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    base_url = models.CharField(max_length=300, blank=True, help_text="Of the portal, for links")
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(help_text="When it is sent, if it waits")
    status_code = models.PositiveSmallIntegerField(null=True, help_text="Of the last answer")
    problem = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "deliveries"
        indexes: ClassVar = [models.Index(fields=["state", "next_at"], name="delivery_due")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(state__in=list(DeliveryState.values)), name="delivery_state_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.event} of {self.subject}"

    @property
    def path(self) -> Path:
        """Loads the webhook."""
        return Path(settings.MEDIA_ROOT) / "deliveries" / str(self.webhook.workspace_id) / self.token
