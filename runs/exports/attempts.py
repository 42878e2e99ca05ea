"""The failed attempts of a run as CSV, oldest first: what was asked, what came back, how long was waited."""

from collections.abc import Iterator
from typing import Any

from evalportal.lib.csv_safety import csv_lines
from runs.exports import Export
from runs.models import Run
from runs.selectors_attempts import failed_attempts

CHUNK = 1000
COLUMNS = (
    "seq", "item_id", "attempt", "started_at", "finished_at", "kind", "status_code", "error",
    "retry_after_ms", "wait_ms",
)  # fmt: skip
READ = (
    "pk", "seq", "item", "number", "started_at", "finished_at", "outcome", "status_code", "error",
    "retry_after_ms", "wait_ms",
)  # fmt: skip


def attempts_csv(run: Run) -> Iterator[bytes]:
    """A header and one row per failed attempt; a query per chunk."""
    yield _lines([list(COLUMNS)])
    after = 0
    while rows := list(failed_attempts(run).filter(pk__gt=after).order_by("pk").values_list(*READ)[:CHUNK]):
        yield _lines([_cells(row) for row in rows])
        after = rows[-1][0]


def _cells(row: tuple[Any, ...]) -> list[Any]:
    return [cell.isoformat() if hasattr(cell, "isoformat") else cell for cell in row[1:]]


def _lines(rows: list[list[Any]]) -> bytes:
    return "".join(csv_lines(rows)).encode()


ATTEMPTS = Export("attempts.csv", "text/csv; charset=utf-8", attempts_csv)
