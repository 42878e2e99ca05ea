"""How a process makes itself known, every five seconds."""

import os
from pathlib import Path

from django.utils import timezone

from runs.engine.clock import now_ms
from runs.engine.owners import machine
from runs.models import Worker


def report(owner: str, runs: int, in_flight: int) -> None:
    now = {"seen_ms": now_ms(), "runs": runs, "in_flight": in_flight, "memory_mb": memory_mb()}
    if not Worker.objects.filter(owner=owner).update(**now):
        Worker.objects.create(
            owner=owner, machine=machine(), pid=os.getpid(), started_at=timezone.now(), **now
        )


def leave(owner: str) -> None:
    Worker.objects.filter(owner=owner).delete()


def memory_mb() -> int:
    """Resident, 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20
