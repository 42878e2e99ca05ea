"""Trials as JSON Lines (lossless) and as CSV (one row per trial, formulas neutralised)."""

import json
from collections.abc import Iterator
from typing import Any

from evalportal.lib.csv_safety import csv_lines
from runs.exports import Export
from runs.exports.rows import DETAIL, SCORE, Row, log_rows, trial_rows
from runs.models import Run

COLUMNS = (
    "seq", "item_id", "variant", "variation", "epoch", "section", "state", "prompt", "messages", "choices",
    "references", "response", "finish_reason", "answer", "passed", "cached", "latency_ms",
    "first_token_ms", "input_tokens", "output_tokens", "cost", "attempts", "error_kind", "error",
    "finished_at", "metadata",
)  # fmt: skip

PASS = ("answer", "feedback", "error")


def encoded(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def jsonl(run: Run) -> Iterator[bytes]:
    """One object per trial with everything that is known of it."""
    for chunk in trial_rows(run):
        yield "".join(f"{encoded(row)}\n" for row in chunk).encode()


def scores_jsonl(run: Run) -> Iterator[bytes]:
    """One object per score."""
    for chunk in trial_rows(run):
        lines = (
            encoded(
                {"seq": row["seq"], "item_id": row["item"]["id"], "variant": row["variant"]}
                | {"epoch": row["epoch"], **score}
            )
            for row in chunk
            for score in row["scores"]
        )
        yield "".join(f"{line}\n" for line in lines).encode()


def csv_table(run: Run) -> Iterator[bytes]:
    """A header and one row per trial; five columns per scorer, whose explanation is a judge's feedback, and
    more for each pass of a judge that was asked several times. Lists and chats are JSON in their cell."""
    names, passes = run.scorer_names, passes_of_judges(run)
    header = [*COLUMNS, *(f"{name}: {column}" for name in names for column in SCORE[1:])]
    yield _lines([header + [f"{name}: {title}" for name, titles in passes.items() for title in titles]])
    for chunk in trial_rows(run):
        yield _lines([_cells(row, names) + _passes(row, passes) for row in chunk])


def passes_of_judges(run: Run) -> dict[str, list[str]]:
    """By judge that asks several times, the titles of what its passes said."""
    found = {}
    for entry in run.config.get("judges", []):
        number = entry.get("passes", 1)
        if number > 1:
            orders = entry["kind"] == "compare" and entry.get("both_orders")
            shown = ("A first", "B first") if orders else ("", "")
            titles = [f"pass {n + 1}{f' ({shown[n % 2]})' if orders else ''}" for n in range(number)]
            found[entry["name"]] = ["flags", *(f"{title} {what}" for title in titles for what in PASS)]
    return found


def _passes(row: Row, judges: dict[str, list[str]]) -> list[Any]:
    by_scorer = {score["scorer"]: score.get(DETAIL) or {} for score in row["scores"]}
    cells: list[Any] = []
    for name, titles in judges.items():
        detail = by_scorer.get(name, {})
        said = [each.get(what) for each in detail.get("passes", []) for what in PASS]
        some = [", ".join(detail.get("flags", [])), *said]
        cells += some + [None] * (len(titles) - len(some))
    return cells


def log_text(run: Run) -> Iterator[bytes]:
    for chunk in log_rows(run):
        yield "".join(f"{line.at.isoformat()} {line.level:5} {line.text}\n" for line in chunk).encode()


def _lines(rows: list[list[Any]]) -> bytes:
    return "".join(csv_lines(rows)).encode()


def _cells(row: Row, scorers: list[str]) -> list[Any]:
    item = row["item"]
    flat = {**row, **row["usage"], **item, "item_id": item["id"]}
    for name in ("messages", "choices", "references", "metadata"):
        flat[name] = encoded(flat[name]) if flat[name] else ""
    if len(item["references"]) == 1:
        flat["references"] = item["references"][0]
    by_scorer = {score["scorer"]: score for score in row["scores"]}
    judged = [by_scorer.get(name, {}).get(column) for name in scorers for column in SCORE[1:]]
    cells = [flat[name] for name in COLUMNS] + judged
    return [encoded(cell) if isinstance(cell, bool) else cell for cell in cells]


JSONL = Export("jsonl", "application/jsonl", jsonl)
CSV = Export("csv", "text/csv; charset=utf-8", csv_table)
