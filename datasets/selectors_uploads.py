"""What is read around uploads, always within one workspace."""

from django.db.models import QuerySet

from datasets.models import SavedMapping
from workspaces.models import Workspace


def saved_mappings(workspace: Workspace) -> QuerySet[SavedMapping]:
    """By name."""
    return SavedMapping.objects.filter(workspace=workspace).order_by("name")
