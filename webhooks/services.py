"""What people command: set the webhook, push something to it, send again."""

import secrets
from collections.abc import Iterable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from evalportal.lib.secret_fields import Secret
from registry import rules
from webhooks.models import Delivery, DeliveryState, Webhook
from webhooks.selectors import webhook_of
from webhooks.sending import MOST_IN_BODY, TOO_LARGE, new_secret
from webhooks.tasks import deliver
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused

MOST_BYTES = 512 << 20


@transaction.atomic
def webhook_save(access: Access, *, url: str, sends_link: bool) -> str:
    """Sets the address; returns the secret if it is a new one, as for another host. Raises Refused."""
    url = url.strip()
    try:
        rules.check_base_url(url)
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
    if len(url) > 500:
        raise Refused("An address has at most 500 characters.")
    stood = Webhook.objects.select_for_update().filter(workspace=access.workspace).first()
    moved = stood is None or rules.origin_of(stood.url) != rules.origin_of(url)
    secret = new_secret() if moved else ""
    values: dict[str, Any] = {"url": url, "sends_link": sends_link}
    Webhook.objects.update_or_create(
        workspace=access.workspace, defaults=values | ({"secret": Secret(secret)} if secret else {})
    )
    scheme, host, port = rules.origin_of(url)
    audit.record(access, "webhook.set", f"{scheme}://{host}:{port}", link=sends_link, new_secret=moved)
    return secret


@transaction.atomic
def webhook_renew(access: Access) -> str:
    """A new secret in place of the old one. Raises Refused."""
    hook = _webhook(access)
    secret = new_secret()
    hook.secret = Secret(secret)
    hook.save(update_fields=["secret"])
    audit.record(access, "webhook.renew_secret")
    return secret


@transaction.atomic
def webhook_remove(access: Access) -> None:
    """With what waits, and the list of what was delivered."""
    deliveries = list(Delivery.objects.filter(webhook__workspace=access.workspace).select_related("webhook"))
    Webhook.objects.filter(workspace=access.workspace).delete()
    audit.record(access, "webhook.remove")
    for delivery in deliveries:
        transaction.on_commit(partial(delivery.path.unlink, missing_ok=True))


def push(
    access: Access,
    *,
    event: str,
    subject: str,
    about: Mapping[str, Any],
    base_url: str = "",
    filename: str = "",
    lines: Iterable[str] = (),
) -> Delivery:
    """Has a worker send a file of lines, or `about` alone. Raises Refused without a webhook, or for a file
    that is empty or too large."""
    delivery = Delivery(
        webhook=_webhook(access), token=secrets.token_urlsafe(24), event=event, subject=subject,
        about=dict(about), filename=filename, base_url=base_url[:300], created_by=access.actor,
        next_at=timezone.now(),
    )  # fmt: skip
    try:
        if filename:
            _write(delivery, lines)
        with transaction.atomic():
            delivery.save(force_insert=True)
            audit.record(access, "webhook.push", subject, event=event, size_bytes=delivery.size_bytes)
            deliver.delay_on_commit(delivery.pk)
    except BaseException:
        delivery.path.unlink(missing_ok=True)
        raise
    return delivery


def _write(delivery: Delivery, lines: Iterable[str]) -> None:
    most = MOST_BYTES if delivery.webhook.sends_link else MOST_IN_BODY
    delivery.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    hashed = sha256()
    with delivery.path.open("xb") as file:
        delivery.path.chmod(0o600)
        for line in lines:
            data = line.encode()
            delivery.size_bytes += len(data)
            if delivery.size_bytes > most:
                raise Refused(TOO_LARGE.format(most >> 20))
            hashed.update(data)
            file.write(data)
    if not delivery.size_bytes:
        raise Refused("There is nothing to push.")
    delivery.sha256 = hashed.hexdigest()


def delivery_repeat(access: Access, delivery: Delivery) -> None:
    """Sends one again that failed. Raises Refused once its file is gone."""
    if delivery.filename and not delivery.path.exists():
        raise Refused("Its file is kept for two days; push it anew.")
    with transaction.atomic():
        failed = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.FAILED)
        if failed.update(state=DeliveryState.WAITING, attempts=0, next_at=timezone.now(), ended_at=None):
            audit.record(access, "webhook.repeat", delivery.subject, event=delivery.event)
            deliver.delay_on_commit(delivery.pk)


def _webhook(access: Access) -> Webhook:
    hook = webhook_of(access.workspace)
    if hook is None:
        raise Refused("No webhook is set; an owner sets one in the workspace's settings.")
    return hook
