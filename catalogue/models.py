"""A workspace's access token for the hub."""

from django.db import models
from django.db.models.functions import Now

from evalportal.lib.secret_fields import EncryptedTextField
from workspaces.models import Workspace


class HubToken(models.Model):
    """Sent to the hub that it was set for, and to no other."""

    workspace = models.OneToOneField(Workspace, on_delete=models.CASCADE, related_name="hub_token")
    origin = models.CharField(max_length=300, help_text="Scheme, host and port of the hub")
    token = EncryptedTextField(editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"hub token of workspace {self.workspace_id}"
