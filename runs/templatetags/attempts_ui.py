"""How attempts are told: the kind of failure in words, what came back, how long was waited."""

from typing import Any

from django import template

from evalportal.lib import ui
from runs.models import Attempt

register = template.Library()

OUTCOMES = {
    "open": "In flight",
    "lost": "Worker lost",
    "rate_limited": "Too many requests",
    "unauthorized": "Not authorized",
    "not_found": "Not found",
    "bad_request": "Bad request",
    "server_error": "Server error",
    "timeout": "Timeout",
    "connection": "No connection",
    "malformed": "Unreadable answer",
    "empty": "Empty answer",
    "too_large": "Answer too large",
    "blocked": "Address not allowed",
    "certificate": "Bad certificate",
    "canceled": "Given up",
    "aborted": "Stopped in flight",
    "refused": "Refused for the whole run",
    "internal": "Error of the portal",
}


@register.filter
def kind_words(kind: str) -> str:
    """rate_limited → Too many requests"""
    return OUTCOMES.get(kind, kind.replace("_", " ").capitalize())


@register.filter
def attempt_title(attempt: Attempt) -> str:
    """429 Too many requests"""
    words = "OK" if attempt.outcome == "ok" else kind_words(attempt.outcome)
    return f"{attempt.status_code} {words}" if attempt.status_code else words


@register.filter
def attempt_note(attempt: Attempt) -> str:
    """What came of it, in a line: tokens and time, or the error's first line."""
    if attempt.outcome == "ok":
        tokens = f"{attempt.output_tokens:,} tokens in " if attempt.output_tokens is not None else "In "
        return f"{tokens}{ui.duration_ms(attempt.latency_ms)}"
    asked = f"Retry-After {ui.duration_ms(attempt.retry_after_ms)}" if attempt.retry_after_ms else ""
    wait = f"Next attempt after {ui.duration_ms(attempt.wait_ms)}" if attempt.wait_ms else ""
    return ". ".join(filter(None, [cause(attempt).rstrip("."), asked, wait]))


@register.filter
def cause(attempt: Attempt) -> str:
    """Why it failed, in words for people."""
    if attempt.outcome == "lost":
        return "Its worker was lost before the answer was recorded; the call may have been paid for."
    return attempt.error.partition("\n")[0]


@register.filter
def attempt_wait(attempt: Any) -> str:
    """Until the next attempt. Needs the annotations of `failed_attempts`."""
    if attempt.wait_ms is not None:
        return ui.duration_ms(attempt.wait_ms)
    if attempt.number < attempt.last or attempt.state in ("pending", "leased"):
        return "none"
    return "given up" if attempt.state == "errored" else "–"


@register.filter
def raw_part(error: str) -> str:
    """What the endpoint said, after the words for people."""
    return error.partition("\n")[2].strip()
