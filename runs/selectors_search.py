"""Looking through a run's items for what no index finds: for a bounded time, so that a page of any run
answers at once and says from where to go on."""

import time
from dataclasses import dataclass

from django.db.models import QuerySet

from runs.models import Trial

LOOK_S = 0.03
FIRST_ROWS = 500
FASTER = 8  # the next step is at most so many times as large


@dataclass(frozen=True)
class Look:
    """Numbers of matching trials in the direction of looking; `reached` is the last one that was looked at,
    None once all were."""

    found: list[int]
    reached: int | None


def look(trials: QuerySet[Trial], *, start: int, end: int, wanted: int, share: float = 1.0) -> Look:
    """Goes through the numbers after `start` up to `end` (or down to it, where it is less) in steps that
    grow with the pace, until so many are found or that share of LOOK_S is over; a query for each step."""
    within_s = share * LOOK_S
    forward, began = end >= start, time.monotonic()
    at, rows, found = start, FIRST_ROWS, list[int]()
    while at != end and len(found) < wanted:
        to = min(at + rows, end) if forward else max(at - rows, end)
        step = trials.filter(seq__gt=at, seq__lte=to) if forward else trials.filter(seq__lt=at, seq__gte=to)
        seqs = step.order_by("seq" if forward else "-seq").values_list("seq", flat=True)
        found += seqs[: wanted - len(found)]
        at, spent = to, time.monotonic() - began
        if spent > 0.8 * within_s:
            break
        pace = abs(at - start) / max(spent, 1e-4)
        rows = max(1, min(FASTER * rows, int(pace * (within_s - spent))))
    return Look(found, None if at == end else at)
