"""A form that is sent twice, as by a double click, does its work once.

The page that shows the form puts a random word into it; the first request that brings the word does the
work, and others that say the same get what came of it.
"""

import hashlib
import json
import secrets
from time import monotonic, sleep

from django.core.cache import cache
from django.http import HttpRequest

from workspaces.access import Access

REMEMBERED_S = 300
WAITED_S = 3.0
UNDER_WAY = ""


def word() -> str:
    return secrets.token_urlsafe(16)


def sent(request: HttpRequest) -> str:
    """What the form said, by its word; empty for a form without one."""
    if not request.POST.get("once"):
        return ""
    files = [(name, file.name, file.size) for name, files in request.FILES.lists() for file in files]
    return hashlib.sha256(json.dumps([sorted(request.POST.lists()), files]).encode()).hexdigest()


def claim(access: Access, what: str) -> bool:
    """Whether this request is the first of what was `sent`; of a form without a word, each is."""
    return not what or cache.add(_key(access, what), UNDER_WAY, timeout=REMEMBERED_S)


def finish(access: Access, what: str, url: str | None) -> None:
    """What came of it; None if nothing did, so that the form may be sent again."""
    if what and url is None:
        cache.delete(_key(access, what))
    elif what:
        cache.set(_key(access, what), url, timeout=REMEMBERED_S)


def outcome(access: Access, what: str) -> str:
    """Where the first request led to, waited for a moment; empty if that is not known."""
    ends_at = monotonic() + WAITED_S
    while not (url := cache.get(_key(access, what), UNDER_WAY)) and monotonic() < ends_at:
        sleep(0.05)
    return str(url)


def _key(access: Access, what: str) -> str:
    person = access.actor.pk if access.actor else 0
    return f"form-once:{access.workspace.pk}:{person}:{what}"
