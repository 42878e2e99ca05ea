"""What a provider's address, key and headers may look like. Pure; messages are for people."""

import json
import re
from urllib.parse import parse_qsl, urlsplit

from django.core.exceptions import ValidationError

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
PRINTABLE = re.compile(r"[\x20-\x7e]*")
OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "te",
        "transfer-encoding",
        "upgrade",
    }
)
PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int | None]


def check_base_url(url: str) -> None:
    """Raises ValidationError unless it is an http(s) address without credentials."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValidationError("This is no web address.")
    if parts.scheme not in PORTS or not parts.hostname or port == 0:
        raise ValidationError("Give an address such as https://api.example.com/v1.")
    if parts.username is not None or parts.password is not None:
        raise ValidationError("Leave the name and password out; the key has a field of its own.")
    if not PRINTABLE.fullmatch(url) or " " in url or parts.fragment:
        raise ValidationError("The address holds characters that do not belong there.")
    if parts.path.rstrip("/").endswith(("/chat/completions", "/models", "/embeddings")):
        raise ValidationError("Leave out the end of the path; calls add it to the base URL.")


def origin_of(url: str) -> Origin:
    """Scheme, host and port: what a key belongs to."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or PORTS.get(parts.scheme)


def query_values(url: str) -> list[str]:
    """Values of the address's query, as written and decoded: some gateways take their key there."""
    query = urlsplit(url).query
    written = [part.partition("=")[2] for part in query.split("&")]
    return [*written, *(value for _, value in parse_qsl(query))]


def check_key(key: str) -> None:
    if not PRINTABLE.fullmatch(key):
        raise ValidationError("The key holds characters that HTTP cannot send.")


def check_headers(text: str) -> None:
    """Raises ValidationError, which never repeats a value, unless it is a JSON object of headers."""
    try:
        headers = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        raise ValidationError('Give a JSON object, such as {"x-team": "evaluation"}.')
    if not isinstance(headers, dict):
        raise ValidationError('Give a JSON object, such as {"x-team": "evaluation"}.')
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or name.lower() in OURS:
            raise ValidationError(f"{name[:100]!r} is no header that can be set here.")
        if not isinstance(value, str) or not PRINTABLE.fullmatch(value):
            raise ValidationError(f"The value of {name!r} must be a text of plain characters.")
