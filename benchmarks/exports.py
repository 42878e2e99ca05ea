"""Taking an evaluation, a task or a leaderboard away as a file, in bounded memory."""

import json
from collections.abc import Callable, Iterator, Sequence
from tempfile import TemporaryFile
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile

from django.template.loader import render_to_string

from analysis.stats.results import Interval
from benchmarks.selectors import Scored
from benchmarks.selectors_leaderboard import Leaderboard, Row
from evalportal.lib.csv_safety import csv_lines
from evalportal.lib.streaming import CHUNK_BYTES
from runs.exports.rows import trial_rows
from runs.metrics import metrics_json

Stream = Callable[[Scored], Iterator[str]]
Plain = dict[str, Any]


def encoded(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def points(interval: Interval) -> Plain:
    """On 0–100."""

    def point(share: float | None) -> float | None:
        return None if share is None else 100 * share

    return {
        "value": point(interval.value), "low": point(interval.low), "high": point(interval.high),
        "n": interval.n, "interval": interval.method,
    }  # fmt: skip


def submission_document(found: Scored) -> Plain:
    """What was evaluated and how, frozen at its launch."""
    row = found.row
    return {
        "evaluation": row.pk,
        "benchmark": row.benchmark.name,
        "phase": row.phase.name if row.phase else None,
        "model": row.alias,
        "by": str(row.created_by) if row.created_by else None,
        "at": row.created_at.isoformat(),
        "configuration": row.frozen,
        "runs": [{"run": run.pk, "config": run.config} for run in found.runs],
    }


def scores_document(found: Scored) -> Plain:
    """The overall score and each part's, with every metric of its run."""
    return {
        "evaluation": found.row.pk,
        "benchmark": found.row.benchmark.name,
        "model": found.row.alias,
        "status": found.status,
        "ranks": not found.shortfall,
        "reason": found.shortfall or None,
        "overall": points(found.overall),
        "duration_s": found.duration_s,
        "parts": [
            {
                "dataset": part.frozen["title"],
                "version": part.frozen["number"],
                "weight": part.frozen["weight"],
                "primary": part.frozen["primary"],
                "measure": part.frozen["measure"],
                "scale": [part.frozen["low"], part.frozen["high"]],
                "score": points(part.figure),
                "run": part.frozen["run"],
                "metrics": metrics_json(part.run) if part.run else {},
            }
            for part in found.parts
        ],
    }


def submission(found: Scored) -> Iterator[str]:
    yield encoded(submission_document(found))


def scores(found: Scored) -> Iterator[str]:
    yield encoded(scores_document(found))


def item_rows(found: Scored) -> Iterator[list[Plain]]:
    """Chunks of (part, id, gold, prediction, correct) with what explains them."""
    for part in found.parts:
        if part.run is None:
            continue
        for chunk in trial_rows(part.run):
            yield [
                {
                    "part": part.frozen["title"],
                    "seq": row["seq"],
                    "id": row["item"]["id"],
                    "gold": row["item"]["references"],
                    "prediction": row["answer"],
                    "correct": row["passed"],
                    "state": row["state"],
                    "response": row["response"],
                    "scores": row["scores"],
                }
                for row in chunk
            ]


def predictions(found: Scored) -> Iterator[str]:
    """One object an item: what the model answered."""
    for chunk in item_rows(found):
        rows = ({name: row[name] for name in ("part", "id", "prediction", "response")} for row in chunk)
        yield "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def results_json(found: Scored) -> Iterator[str]:
    """The scores and every item, as one JSON document."""
    head = json.dumps(scores_document(found), ensure_ascii=False, indent=2)
    yield head.rstrip("}\n ") + ',\n  "items": [\n'
    first = True
    for chunk in item_rows(found):
        lines = [json.dumps(row, ensure_ascii=False) for row in chunk]
        yield ("" if first else ",\n") + ",\n".join(lines)
        first = False
    yield "\n  ]\n}\n"


def results_html(found: Scored) -> Iterator[str]:
    """A page that opens offline: scores, then a row an item."""
    yield render_to_string("benchmarks/results_head.html", {"found": found})
    for chunk in item_rows(found):
        yield render_to_string("benchmarks/_results_rows.html", {"rows": chunk})
    yield render_to_string("benchmarks/results_foot.html")


FILES: dict[str, tuple[str, str, Stream]] = {
    "submission": ("submission.json", "application/json", submission),
    "predictions": ("predictions.jsonl", "application/x-ndjson", predictions),
    "scores": ("scores.json", "application/json", scores),
    "results": ("results.json", "application/json", results_json),
    "html": ("results.html", "text/html; charset=utf-8", results_html),
}


def zipped(found: Sequence[Scored]) -> Iterator[bytes]:
    """Every file of each evaluation, a folder each; made on disk, then sent."""
    with TemporaryFile() as file:
        _write_zip(file, found)
        file.seek(0)
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _write_zip(file: IO[bytes], found: Sequence[Scored]) -> None:
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for each in found:
            for name, _, stream in FILES.values():
                with archive.open(f"evaluation-{each.row.pk}/{name}", "w") as member:
                    for text in stream(each):
                        member.write(text.encode())


def leaderboard_document(board: Leaderboard) -> Plain:
    return {
        "benchmark": board.benchmark.name,
        "phase": board.phase.name if board.phase else None,
        "weights": {part.version.dataset.name: part.weight for part in board.parts},
        "rows": [row_document(board, row) for row in board.rows],
        "unranked": [
            {"evaluation": each.scored.row.pk, "model": each.scored.row.alias, "reason": each.reason}
            for each in board.unranked
        ],
    }


def row_document(board: Leaderboard, row: Row) -> Plain:
    return {
        "rank": row.place,
        "rank_best": row.rank.best,
        "rank_worst": row.rank.worst,
        "model": row.evaluation.alias,
        "baseline": row.evaluation.is_baseline,
        "evaluation": row.evaluation.pk,
        "overall": points(row.overall),
        "parts": [
            {"dataset": part.version.dataset.name} | points(figure)
            for part, figure in zip(board.parts, row.figures, strict=True)
        ],
        "metrics": {
            key: {"value": cell.value, "low": cell.low, "high": cell.high, "n": cell.n, "unit": cell.unit}
            for key, cell in row.cells.items()
        },
        "marks": list(row.marks),
        "at": row.evaluation.created_at.isoformat(),
    }


def leaderboard_csv(board: Leaderboard) -> Iterator[str]:
    """One row a system; figures on 0–100, further metrics in their own unit."""
    names = [part.version.dataset.name for part in board.parts]
    head = ["rank", "model", "overall", "low", "high", "n", "baseline", "marks", "at"]
    for name in names if len(names) > 1 else ():
        head += [name, f"{name}: low", f"{name}: high", f"{name}: n"]
    rows = [head + [title for _, title in board.columns]]
    for row in board.rows:
        told = row_document(board, row)
        total = told["overall"]
        cells = [
            row.place, told["model"], total["value"], total["low"], total["high"], row.n,
            "baseline" if told["baseline"] else "", "; ".join(row.marks), told["at"],
        ]  # fmt: skip
        for part in told["parts"] if len(names) > 1 else ():
            cells += [part["value"], part["low"], part["high"], part["n"]]
        rows.append(cells + [row.cells[key].value if key in row.cells else "" for key, _ in board.columns])
    yield from csv_lines(rows)
