"""A worker's part: sends what is due, signed, and notes what came of it.

The body is JSON: `{"event", "delivery", "workspace", "subject", "about", "file": {"name", "media_type",
"size_bytes", "sha256", "text" or "url"}}`. `Evalportal-Signature: t=SECONDS,v1=HEX` is HMAC-SHA256, by
the webhook's secret, over `SECONDS.` and the body.
"""

import hmac
import json
import secrets
from datetime import timedelta
from pathlib import Path
from time import time
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils import timezone

from evalportal.lib.secret_fields import UndecryptableSecret
from registry.fetching import FetchBlocked, FetchFailed, post_body
from webhooks.models import Delivery, DeliveryState

MEDIA_TYPE = "application/x-ndjson"
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (15, 60, 300, 1800, 7200))  # between attempts
MOST_IN_BODY = 20 << 20  # bytes of lines; a worker holds them a few times over
LEASE = timedelta(minutes=2)  # a worker that died gives it back then
TOTAL_S = 30.0
LINK_LIVES = timedelta(days=1)
KEPT = timedelta(days=30)
TOO_LARGE = "The file is larger than {} MB; let the webhook send a link."
PASSING = (408, 409, 425, 429)  # of 4xx: later it may be taken
signer = TimestampSigner(salt="evalportal.delivery")


def new_secret() -> str:
    return f"whsec_{secrets.token_urlsafe(32)}"


def delivery_send(delivery_id: int) -> None:
    """Sends a delivery that is due; a second worker at the same time does nothing."""
    now = timezone.now()
    due = Delivery.objects.filter(pk=delivery_id, state=DeliveryState.WAITING, next_at__lte=now)
    if not due.update(next_at=now + LEASE, attempts=F("attempts") + 1):
        return
    delivery = Delivery.objects.select_related("webhook__workspace").get(pk=delivery_id)
    if delivery.attempts > len(PAUSES) + 1:
        _end(delivery, DeliveryState.FAILED, problem="The workers that sent it were lost each time.")
        return
    try:
        status = _post(delivery)
    except FetchBlocked as error:
        _end(delivery, DeliveryState.FAILED, problem=str(error))
    except (FetchFailed, UndecryptableSecret, OSError) as error:
        _again(delivery, None, str(error))
    else:
        if 200 <= status < 300:
            _end(delivery, DeliveryState.DELIVERED, status=status)
        elif 300 <= status < 500 and status not in PASSING:
            _end(delivery, DeliveryState.FAILED, status=status, problem=f"The address answered {status}.")
        else:
            _again(delivery, status, f"The address answered {status}.")


def _post(delivery: Delivery) -> int:
    body = body_of(delivery)
    headers = {
        "content-type": "application/json",
        "evalportal-event": delivery.event,
        "evalportal-delivery": delivery.token,
        "evalportal-signature": signature_of(delivery.webhook.secret.reveal(), body, int(time())),
    }
    return post_body(delivery.webhook.url, body, headers, total_s=TOTAL_S)


def signature_of(secret: str, body: bytes, seconds: int) -> str:
    return f"t={seconds},v1={hmac.digest(secret.encode(), b'%d.%s' % (seconds, body), 'sha256').hex()}"


def body_of(delivery: Delivery) -> bytes:
    """What is sent. Loads the webhook and its workspace."""
    told: dict[str, Any] = {
        "event": delivery.event,
        "delivery": delivery.token,
        "workspace": delivery.webhook.workspace.slug,
        "subject": delivery.subject,
        "about": delivery.about,
    }
    if delivery.filename:
        told["file"] = {
            "name": delivery.filename,
            "media_type": MEDIA_TYPE,
            "size_bytes": delivery.size_bytes,
            "sha256": delivery.sha256,
            **_content(delivery),
        }
    return json.dumps(told, ensure_ascii=False).encode()


def _content(delivery: Delivery) -> dict[str, str]:
    if not delivery.webhook.sends_link:
        if delivery.size_bytes > MOST_IN_BODY:
            raise FetchBlocked(TOO_LARGE.format(MOST_IN_BODY >> 20))
        return {"text": delivery.path.read_text(encoding="utf-8")}
    return {"url": f"{delivery.base_url.rstrip('/')}{link_of(delivery)}"}


def link_of(delivery: Delivery) -> str:
    """A path that anyone may read the file by, for a day."""
    return reverse("delivery_file", args=[signer.sign(delivery.token)])


def delivery_behind(signed: str) -> Delivery | None:
    """The delivery that a genuine link of the last day leads to, if its file is there."""
    try:
        token = signer.unsign(signed, max_age=LINK_LIVES)
    except BadSignature:
        return None
    found = Delivery.objects.select_related("webhook").filter(token=token).first()
    return found if found and found.filename and found.path.exists() else None


def _again(delivery: Delivery, status: int | None, problem: str) -> None:
    """Later, unless it was tried often enough."""
    if delivery.attempts > len(PAUSES):
        _end(delivery, DeliveryState.FAILED, status=status, problem=problem)
        return
    _mine(delivery).update(
        next_at=timezone.now() + PAUSES[delivery.attempts - 1], status_code=status, problem=problem[:300]
    )


def _end(delivery: Delivery, state: DeliveryState, *, status: int | None = None, problem: str = "") -> None:
    _mine(delivery).update(state=state, status_code=status, problem=problem[:300], ended_at=timezone.now())


def _mine(delivery: Delivery) -> QuerySet[Delivery]:
    """The row while this attempt is the last one."""
    return Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.WAITING, attempts=delivery.attempts)


def deliveries_due() -> list[int]:
    """Those whose time has come: retries, and those whose message was lost."""
    due = Delivery.objects.filter(state=DeliveryState.WAITING, next_at__lte=timezone.now())
    return list(due.order_by("next_at").values_list("pk", flat=True)[:100])


def old_remove() -> None:
    """Files that no link leads to any more, and rows after a month."""
    now = timezone.now()
    Delivery.objects.filter(ended_at__lt=now - KEPT).delete()
    for path in (Path(settings.MEDIA_ROOT) / "deliveries").glob("*/*"):
        if path.stat().st_mtime < (now - 2 * LINK_LIVES).timestamp():
            path.unlink(missing_ok=True)
