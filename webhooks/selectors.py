"""What pages read of a workspace's webhook."""

from django.db.models import QuerySet

from webhooks.models import Delivery, Webhook
from workspaces.models import Workspace

SHOWN = 20


def webhook_of(workspace: Workspace) -> Webhook | None:
    return Webhook.objects.filter(workspace=workspace).first()


def deliveries_of(workspace: Workspace) -> QuerySet[Delivery]:
    """Newest first, with who began each."""
    rows = Delivery.objects.filter(webhook__workspace=workspace)
    return rows.select_related("webhook", "created_by").order_by("-id")


def last_delivery(workspace: Workspace, subject: str) -> Delivery | None:
    """Of what is called `subject`."""
    return deliveries_of(workspace).filter(subject=subject).first()
