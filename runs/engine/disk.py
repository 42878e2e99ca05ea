"""Whether the disk has room for what a run writes: a run pauses before the database fails."""

import shutil

from django.conf import settings

FULL = "The disk of the database is full. Make room, then resume."


class DiskFull(Exception):
    """The database could not write for want of space."""


def shortage() -> str:
    """Words for people while less is free than the operator wants to keep; else empty."""
    free_mb = shutil.disk_usage(settings.DATA_DIR).free >> 20
    if free_mb >= settings.ENGINE_MIN_FREE_MB:
        return ""
    return (
        f"Only {free_mb:,} MB are free where the portal keeps its data, and "
        f"{settings.ENGINE_MIN_FREE_MB:,} MB are kept free. "
        "Make room, for example by deleting old runs and datasets, then resume."
    )


def is_full(error: Exception) -> bool:
    """By SQLite's words, and by PostgreSQL's SQLSTATE: its words depend on the server's language."""
    return "disk is full" in str(error) or getattr(error.__cause__, "sqlstate", None) == "53100"
