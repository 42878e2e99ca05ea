"""From what went wrong to CallFailed: kinds for code, words for people, never a secret."""

import asyncio
import json
import os
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import aiohttp
import httpx

from evalportal.lib.plugins import UnknownPlugin
from evalportal.lib.secret_fields import UndecryptableSecret
from registry.calls import CallFailed, Endpoint, storable
from registry.outbound import AddressBlocked
from registry.protocols.base import BadAnswer, ErrorBody

Secrets = tuple[str, ...]

BODY_START_CHARS = 2000
SAID_CHARS = 300
MAX_RETRY_AFTER_MS = 24 * 3600 * 1000
SHORTEST_SECRET = 4  # "x" or "no" is a placeholder that servers ask for, and would blank out every text
STATUS_KINDS = {
    401: "unauthorized",
    402: "unauthorized",
    403: "unauthorized",
    404: "not_found",
    408: "timeout",
    409: "server_error",
    425: "server_error",
    429: "rate_limited",
}
CREDIT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
ADVICE = {
    "credit": "The provider says that its credit is used up",
    "unauthorized": "The endpoint refused the key",
    "not_found": "The endpoint does not know this address or model",
    "rate_limited": "The endpoint is limiting the rate of calls",
    "bad_request": "The endpoint did not accept the request",
    "server_error": "The endpoint failed",
    "timeout": "The endpoint gave up waiting",
}


def secrets_of(api_key: str, headers: Iterable[str]) -> Secrets:
    """The texts to keep out of errors, longest first: the key, header values, and the words of those."""
    texts = {api_key, *headers}
    texts |= {word for text in texts for word in text.split() if len(word) > len("Bearer")}
    texts |= {json.dumps(text)[1:-1] for text in texts}
    return tuple(sorted((text for text in texts if len(text) >= SHORTEST_SECRET), key=len, reverse=True))


def redact(text: str, secrets: Secrets) -> str:
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    return text


def body_start(body: bytes, secrets: Secrets) -> str:
    """Its first characters, cut after secrets are out, so that half of one cannot stay."""
    return redact(storable(body.decode("utf-8", "replace")), secrets)[:BODY_START_CHARS]


def retry_after_ms(headers: Mapping[str, str], now: float | None = None) -> int | None:
    """How long the endpoint asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date."""
    exact = _wait_ms(lambda: float(headers["retry-after-ms"]))
    if exact is not None:
        return exact
    value = headers.get("retry-after", "").strip()
    if value.replace(".", "", 1).isdigit():
        return _wait_ms(lambda: float(value) * 1000)
    at = (_moment(headers.get("date", "")) or time.time()) if now is None else now
    return _wait_ms(lambda: (parsedate_to_datetime(value).timestamp() - at) * 1000)


def _moment(date: str) -> float | None:
    """The endpoint's own time, in which it counts; ours may be an hour off."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def _wait_ms(read: Callable[[], float]) -> int | None:
    """Between none and a day; None for what cannot be read."""
    try:
        return int(min(max(read(), 0), MAX_RETRY_AFTER_MS))
    except (KeyError, ValueError, OverflowError):
        return None


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, said: ErrorBody, secrets: Secrets
) -> CallFailed:
    """The failure that an answer other than 2xx means."""
    kind = _kind(status)
    advice = ADVICE[kind]
    if kind == "rate_limited" and said.code in CREDIT_CODES:
        kind, advice = "unauthorized", ADVICE["credit"]
    elif status == 402:
        advice = ADVICE["credit"]
    if 300 <= status < 400:
        target = redact(storable(headers.get("location", "")), secrets)[:SAID_CHARS]
        advice = f"The endpoint redirects to {target or 'elsewhere'}, not followed; correct the base URL"
    told = redact(storable(said.message), secrets)[:SAID_CHARS].strip()
    return CallFailed(
        kind,
        f"{advice} ({_status_words(status)}){': ' + told if told else '.'}",
        status_code=status,
        retry_after_ms=retry_after_ms(headers),
        body_start=body_start(body, secrets),
    )


def _kind(status: int) -> str:
    if status in STATUS_KINDS:
        return STATUS_KINDS[status]
    return "server_error" if status >= 500 and status != HTTPStatus.NOT_IMPLEMENTED else "bad_request"


def _status_words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def failure_of(error: Exception, endpoint: Endpoint, secrets: Secrets) -> CallFailed | None:
    """The failure that an exception means; None when it is a defect of ours, to be raised as it is."""
    if isinstance(error, BadAnswer):
        return CallFailed(
            error.kind,
            redact(error.message, secrets),
            status_code=200,
            body_start=body_start(error.body, secrets),
        )
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ServerTimeoutError):
        return CallFailed("timeout", f"No complete answer within {endpoint.timeout_s:g} s.")
    if isinstance(error, AddressBlocked):
        return CallFailed("blocked", str(error))
    if isinstance(error, UndecryptableSecret | UnknownPlugin):
        return CallFailed("bad_request", str(error))
    if isinstance(error, UnicodeEncodeError):
        return CallFailed(
            "bad_request", "The key or a header holds characters that HTTP cannot send; enter it again."
        )
    unsendable = isinstance(error, httpx.InvalidURL | aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError)
    if not unsendable and isinstance(error, aiohttp.ClientError | OSError):
        return _connection(error)
    if unsendable or isinstance(error, ValueError):
        return CallFailed(
            "bad_request", f"The request cannot be sent: {redact(str(error), secrets)[:SAID_CHARS]}"
        )
    return None


def _connection(cause: Exception) -> CallFailed:
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        reason = getattr(cause.certificate_error, "verify_message", "") or cause.certificate_error
        return CallFailed("certificate", f"The certificate of {cause.host} cannot be trusted: {reason}.")
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return CallFailed("connection", f"The name {cause.host} cannot be resolved.")
    if isinstance(cause, aiohttp.ClientSSLError | ssl.SSLError):
        return CallFailed(
            "connection", "No encrypted connection could be made; does the endpoint speak https?"
        )
    if isinstance(cause, aiohttp.ClientConnectorError):
        number = cause.os_error.errno
        why = os.strerror(number).lower() if number else "it cannot be reached"
        return CallFailed("connection", f"No connection to {cause.host}:{cause.port} ({why}).")
    if isinstance(cause, aiohttp.ServerTimeoutError | asyncio.TimeoutError):
        return CallFailed("timeout", "The endpoint did not take the connection in time.")
    if isinstance(cause, aiohttp.ClientPayloadError):
        return CallFailed(
            "connection", "The connection broke off in the middle of the answer.", status_code=200
        )
    if isinstance(cause, aiohttp.ClientResponseError):
        return CallFailed("malformed", "The endpoint's answer is not valid HTTP.")
    return CallFailed(
        "connection", "The connection broke off before the answer; the endpoint may have got the request."
    )


def as_json(body: bytes) -> Any:
    """The decoded body of an error, or None."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
