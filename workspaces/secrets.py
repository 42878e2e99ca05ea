"""Secrets that are handed out once: made here, stored as SHA-256 only."""

import secrets
from hashlib import sha256

TOKEN_PREFIX = "evp_"  # noqa: S105 (tells what a leaked string is; not itself a secret)
SHOWN_CHARACTERS = 12


def new_token() -> str:
    """An API token: `evp_` and 43 characters, 256 bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def new_link_secret() -> str:
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """Plain SHA-256 is enough: what is hashed has 256 random bits."""
    return sha256(secret.encode()).hexdigest()
