"""People's labels as a file: CSV for spreadsheets, JSON without loss."""

from collections.abc import Iterable, Iterator, Mapping
from json import dumps
from typing import Any

from analysis.selectors_labels import LabelRow
from evalportal.lib.csv_safety import csv_lines

COLUMNS = (
    "id", "judge", "judge_id", "judge_version", "run_id", "run", "opponent_run_id", "seq", "epoch", "item_id",
    "section", "prompt", "response", "person", "at", "answer", "value", "passed", "comment", "blind",
    "judge_answer", "judge_value", "judge_passed", "judge_feedback", "judge_unscored",
)  # fmt: skip
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def labels_file(rows: Iterable[LabelRow], kind: str) -> Iterator[str]:
    """`kind` is of MEDIA_TYPES."""
    fields = (row.as_dict() for row in rows)
    return csv_lines(_cells(fields)) if kind == "csv" else _json(fields)


def _cells(fields: Iterable[Mapping[str, Any]]) -> Iterator[Iterable[Any]]:
    yield COLUMNS
    for each in fields:
        yield (_cell(each[name]) for name in COLUMNS)


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _json(fields: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield '{"labels": ['
    for number, each in enumerate(fields):
        yield f"{',' if number else ''}\n{dumps(each, ensure_ascii=False)}"
    yield "\n]}\n"
