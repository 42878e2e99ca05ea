"""Celery tasks: thin, with ids as arguments. A lost message is made good by the next sweep."""

from celery import shared_task
from django.db import close_old_connections

from webhooks.sending import deliveries_due, delivery_send, old_remove


@shared_task(name="webhooks.tasks.deliver")  # type: ignore[untyped-decorator]
def deliver(delivery_id: int) -> None:
    """Sends one delivery, if it is due."""
    close_old_connections()
    delivery_send(delivery_id)


@shared_task(name="webhooks.tasks.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Sends again what is due, and forgets what is old."""
    close_old_connections()
    for delivery_id in deliveries_due():
        deliver.delay(delivery_id)
    old_remove()
