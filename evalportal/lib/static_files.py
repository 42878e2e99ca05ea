"""Addresses of static files that change with their content: no browser keeps an old one after an upgrade."""

from functools import cache
from hashlib import sha256
from pathlib import Path

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage


class VersionedStaticFiles(StaticFilesStorage):
    """Appends `?v=` and the content's hash; needs no collected copy of the files."""

    def url(self, name: str | None) -> str:
        address = super().url(name)
        version = content_version(name or "")
        return f"{address}?v={version}" if version else address


@cache
def content_version(name: str) -> str:
    """Ten characters of the file's SHA-256, once a process; empty when there is no such file."""
    found = finders.find(name)
    return sha256(Path(str(found)).read_bytes()).hexdigest()[:10] if found else ""
