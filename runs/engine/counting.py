"""Scores and the counters that move with them, written as whole batches."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from judges.scorers import Verdict
from runs.engine.rowset import encode, rowset

SCORE_COLUMNS = {
    "trial": "bigint",
    "scorer": "text",
    "value": "double precision",
    "passed": "boolean",
    "answer": "text",
    "explanation": "text",
    "unscored_reason": "text",
    "detail": "jsonb",
}
TALLY_KEYS = {"scorer": "text", "section": "text"}
TALLY_SUMS = {
    "scored": "int",
    "passed": "int",
    "unscored": "int",
    "value_sum": "double precision",
    "value_sum_squares": "double precision",
}
Row = Mapping[str, Any]


def score_row(trial_id: int, scorer: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "trial": trial_id,
        "scorer": scorer,
        "value": verdict.value,
        "passed": verdict.passed,
        "answer": verdict.answer,
        "explanation": verdict.explanation,
        "unscored_reason": verdict.unscored_reason,
    }


def insert_scores(run_id: int, rows: Sequence[Row]) -> None:
    """Writes scores of the run's trials, over earlier ones of the same trial and scorer.

    In the caller's transaction, which holds the run's row: nobody deletes the run meanwhile.
    """
    if not rows:
        return
    names = [name for name in SCORE_COLUMNS if name != "trial"]
    updates = ", ".join(f"{name} = excluded.{name}" for name in names if name != "scorer")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO runs_score (run_id, trial_id, {", ".join(names)})
            SELECT {int(run_id)}, v.trial, {", ".join(f"v.{name}" for name in names)}
            FROM {rowset(SCORE_COLUMNS)} WHERE true
            ON CONFLICT (trial_id, scorer) DO UPDATE SET {updates}
            """,  # noqa: S608 (constants only)
            [encode(rows)],
        )


class Sums:
    """What a batch changes of the tallies, by scorer and section."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [0, 0, 0, 0.0, 0.0])

    def add(self, scorer: str, section: str, value: float | None, passed: bool | None, sign: int = 1) -> None:
        """A score, or with the sign -1 one that is taken back."""
        tally = self._sums[(scorer, section)]
        if value is None:
            tally[2] += sign
            return
        tally[0] += sign
        tally[1] += sign * (passed is True)
        tally[3] += sign * value
        tally[4] += sign * value**2

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"scorer": scorer, "section": section, **dict(zip(TALLY_SUMS, values, strict=True))}
            for (scorer, section), values in self._sums.items()
        ]


def add(
    run_id: int, table: str, keys: Mapping[str, str], sums: Mapping[str, str], rows: Sequence[Row]
) -> None:
    """Adds to counter rows, creating missing ones; in order, so that two workers cannot deadlock."""
    names = [*keys, *sums]
    picked = ", ".join(f"v.{name}" for name in names)
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO {table} (run_id, {", ".join(names)})
            SELECT {int(run_id)}, {picked} FROM {rowset({**keys, **sums})} WHERE true
            ON CONFLICT (run_id, {", ".join(keys)}) DO UPDATE SET {added}
            """,  # noqa: S608 (constants only)
            [encode(_ordered(keys, rows))],
        )


def change(
    run_id: int, table: str, keys: Mapping[str, str], sums: Mapping[str, str], rows: Sequence[Row]
) -> None:
    """Adds to counter rows amounts that may be negative; missing rows are created first, since the
    database would refuse a new row below 0."""
    add(run_id, table, keys, sums, [{**row, **dict.fromkeys(sums, 0)} for row in rows])
    if not rows:
        return
    added = ", ".join(f"{name} = {table}.{name} + v.{name}" for name in sums)
    matched = " AND ".join(f"{table}.{name} = v.{name}" for name in keys)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE {table} SET {added} FROM {rowset({**keys, **sums})}
            WHERE {table}.run_id = {int(run_id)} AND {matched}
            """,  # noqa: S608 (constants only)
            [encode(_ordered(keys, rows))],
        )


def _ordered(keys: Mapping[str, str], rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: tuple(row[name] for name in keys))
