"""What goes into a call to an endpoint and what comes out of it: plain values, no I/O."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evalportal.lib.secret_fields import Secret
from registry.models import Provider

MAX_COUNT = 2**31 - 1
RETRIABLE = frozenset({"rate_limited", "server_error", "timeout", "connection", "malformed", "empty"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a call goes, with its key; safe to print, never to serialise."""

    provider_id: int | None
    protocol: str
    base_url: str
    api_key: Secret = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    timeout_s: float

    @classmethod
    def of(cls, provider: Provider) -> "Endpoint":
        """Raises UndecryptableSecret when the installation has lost the field key."""
        return cls(
            provider_id=provider.pk,
            protocol=provider.protocol,
            base_url=provider.base_url,
            api_key=provider.api_key,
            headers=json.loads(provider.headers.reveal() or "{}"),
            timeout_s=float(provider.timeout_s),
        )


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Messages whose content is a text, or parts `{"type": "text", "text"}` and
    `{"type": "image", "media_type", "data"}` with base64 data. Parameters that are None are not sent."""

    model: str
    messages: list[dict[str, Any]]
    params: dict[str, Any]
    stream: bool = False


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts to turn into vectors. `params` join the request body."""

    model: str
    texts: Sequence[str]
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A vector for each text, in their order, all of one length and finite."""

    vectors: Sequence[Sequence[float]]
    input_tokens: int | None
    latency_ms: int
    status_code: int


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer. Text has no NUL and no lone surrogate, so every database can store it."""

    text: str
    finish_reason: str
    input_tokens: int | None
    output_tokens: int | None
    latency_ms: int
    first_token_ms: int | None
    status_code: int


class CallFailed(Exception):
    """A call without an answer: `kind` for code, `message` for people.

    Kinds: rate_limited, unauthorized (key refused or credit used up), not_found, bad_request,
    server_error, timeout, connection, malformed, empty, too_large, blocked, certificate.
    A failed connection never means that the endpoint did not get the request.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status_code: int | None = None,
        retry_after_ms: int | None = None,
        retriable: bool | None = None,
        body_start: str = "",
        latency_ms: int = 0,
    ):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status_code = status_code
        self.retry_after_ms = retry_after_ms
        self.retriable = kind in RETRIABLE if retriable is None else retriable
        self.body_start = body_start
        self.latency_ms = latency_ms


def storable(text: str) -> str:
    """The text without NULs and lone surrogates; halves of a pair that meet become their character."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return text


def token_count(value: Any) -> int | None:
    """A count as endpoints report it; anything else than a sane whole number is None."""
    return value if type(value) is int and 0 <= value <= MAX_COUNT else None
