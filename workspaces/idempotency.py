"""`Idempotency-Key`: a repeated creation returns the first one's answer instead of creating again.

While its first request is under way, a key is leased to it: two minutes, and more for a large body. The
key of a request that died half-way is free again after that, when it can no longer be running.
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import wraps
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from workspaces.access import Access
from workspaces.api_errors import Conflict, Unprocessable
from workspaces.models import IdempotencyKey

LONGEST = 200
LEASE = timedelta(minutes=2)
SLOWEST_BYTES_PER_S = 50_000
KEPT_HEADERS = ("Location",)
Action = Callable[..., Response]


def idempotent(action: Action) -> Action:
    """For a creating method of a view: honours the header where it is sent."""

    @wraps(action)
    def guarded(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key", "").strip()
        if not key:
            return action(view, request, *args, **kwargs)
        if len(key) > LONGEST:
            raise ValidationError({"Idempotency-Key": [f"At most {LONGEST} characters."]})
        claim, is_new = key_claim(view.access, key=key, request=request)
        if not is_new:
            return replay(claim)
        return first_time(claim, lambda: action(view, request, *args, **kwargs))

    return guarded


def key_claim(access: Access, *, key: str, request: Request) -> tuple[IdempotencyKey, bool]:
    """The key's row and whether this request made it. Raises Unprocessable, Conflict."""
    route, request_hash = request.path[:LONGEST], hash_of(request)
    forget_expired()
    try:
        with transaction.atomic():
            row = IdempotencyKey.objects.create(
                workspace=access.workspace, key=key, route=route, request_hash=request_hash
            )
            return row, True
    except IntegrityError:
        found = IdempotencyKey.objects.filter(workspace=access.workspace, route=route, key=key).first()
    if found and found.status is None and found.created_at < timezone.now() - lease_of(request):
        freed, _ = IdempotencyKey.objects.filter(pk=found.pk, status=None).delete()
        if freed:  # by this one of several that met it
            return key_claim(access, key=key, request=request)
        found = None
    if found is None:
        raise Conflict("A request with this Idempotency-Key has just failed. Send it again.")
    return checked(found, request_hash), False


def lease_of(request: Request) -> timedelta:
    """How long a request may run: an upload is stored and imported within it."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return LEASE + timedelta(seconds=int(length) / SLOWEST_BYTES_PER_S if length.isdigit() else 0)


def checked(row: IdempotencyKey, request_hash: str) -> IdempotencyKey:
    if row.request_hash != request_hash:
        raise Unprocessable("This Idempotency-Key was used for a different request. Use a new key.")
    if row.status is None:
        raise Conflict(
            "A request with this Idempotency-Key is under way. If it was cut off, the key is free again some "
            "minutes after it began; see then whether it took effect, and send it again."
        )
    return row


def first_time(claim: IdempotencyKey, create: Callable[[], Response]) -> Response:
    """Runs it and keeps a successful answer; a refusal frees the key for the corrected request."""
    try:
        response = create()
    except BaseException:
        claim.delete()
        raise
    if response.status_code >= 400:
        claim.delete()
        return response
    body = {
        "data": json.loads(JSONRenderer().render(response.data) or "null"),
        "headers": {name: response[name] for name in KEPT_HEADERS if name in response},
    }
    IdempotencyKey.objects.filter(pk=claim.pk).update(status=response.status_code, body=body)
    return response


def replay(row: IdempotencyKey) -> Response:
    stored = row.body or {}
    headers = {**stored.get("headers", {}), "Idempotent-Replayed": "true"}
    return Response(stored.get("data"), status=row.status, headers=headers)


def forget_expired() -> None:
    IdempotencyKey.objects.filter(created_at__lt=timezone.now() - settings.IDEMPOTENCY_KEPT).delete()


def hash_of(request: Request) -> str:
    """Over the parsed body: a repeated multipart upload has another boundary but the same content."""
    whole = sha256()
    for part in parts_of(request):
        whole.update(part)
    return whole.hexdigest()


def parts_of(request: Request) -> Iterator[bytes]:
    yield f"{request.method} {request.get_full_path()}\n".encode()
    data = request.data
    if not hasattr(data, "lists"):
        yield json.dumps(data, sort_keys=True, default=str).encode()
        return
    for name, values in sorted(data.lists()):
        for value in values:
            yield f"\n{name}=".encode()
            yield from chunks_of(value)


def chunks_of(value: Any) -> Iterator[bytes]:
    if isinstance(value, UploadedFile):
        yield f"{value.name} {value.size}\n".encode()
        yield from value.chunks()
        value.seek(0)
    else:
        yield str(value).encode()
