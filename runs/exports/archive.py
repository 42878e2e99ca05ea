"""A run as one zip: configuration, score summary, per-item results, scores and log.

It is written straight to the client, without a file in between: the first byte leaves at once,
memory stays at one chunk, and a client that goes away leaves nothing behind. A zip's directory
stands at its end, so a download that broke off does not open.
"""

import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.utils import timezone

from runs.exports import Export
from runs.exports.attempts import attempts_csv
from runs.exports.spread import spread_csv
from runs.exports.tables import csv_table, jsonl, log_text, scores_jsonl
from runs.metrics import metrics_json, section_rows
from runs.models import Run
from runs.selectors_spread import spread_json
from runs.selectors_verdicts import judge_figures


class _Sink(io.RawIOBase):
    """Holds what the zip wrote since the last `drain`."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.buffer += data
        return len(data)

    def drain(self) -> bytes:
        data, self.buffer = bytes(self.buffer), bytearray()
        return data


def zip_archive(run: Run) -> Iterator[bytes]:
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_DEFLATED, allowZip64=True) as archive:
        for name, chunks in _members(run):
            info = ZipInfo(f"run-{run.pk}/{name}", date_time=timezone.now().timetuple()[:6])
            info.compress_type, info.external_attr = ZIP_DEFLATED, 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as member:
                for chunk in chunks:
                    member.write(chunk)
                    yield sink.drain()
    yield sink.drain()


def _members(run: Run) -> list[tuple[str, Iterable[bytes]]]:
    return [
        ("run.json", [_document(run_document(run))]),
        ("summary.json", [_document(summary_document(run))]),
        ("results.jsonl", jsonl(run)),
        ("results.csv", csv_table(run)),
        ("scores.jsonl", scores_jsonl(run)),
        *([("variations.csv", spread_csv(run))] if run.config.get("variations") else []),
        ("failed_attempts.csv", attempts_csv(run)),
        ("log.txt", log_text(run)),
    ]


def _document(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def run_document(run: Run) -> dict[str, Any]:
    """What was run and how; the configuration is frozen without secrets. Loads evaluation and creator."""
    return {
        "run": run.pk,
        "evaluation": {"id": run.evaluation_id, "name": run.evaluation.name},
        "status": run.status,
        "status_reason": run.status_reason,
        "alias": run.alias,
        "label": run.label,
        "cost_ceiling": None if run.cost_ceiling is None else str(run.cost_ceiling),
        "token_ceiling": run.token_ceiling,
        "created_by": str(run.created_by) if run.created_by else None,
        "created_at": _moment(run.created_at),
        "started_at": _moment(run.started_at),
        "finished_at": _moment(run.finished_at),
        "exported_at": _moment(timezone.now()),
        "config": run.config,
    }


def summary_document(run: Run) -> dict[str, Any]:
    """Every metric with its interval and n, whole and by section. Loads tallies and the dataset version."""
    return {
        "run": run.pk,
        "status": run.status,
        "total": run.total,
        "done": run.done,
        "errored": run.errored,
        "canceled": run.canceled,
        "retried": run.retried,
        "cached": run.cached,
        "metrics": metrics_json(run),
        "sections": [
            {
                "section": row.name,
                "accuracy": row.estimate.as_dict() if row.estimate else None,
                "n": row.n,
                "unscored": row.unscored,
                "latency_p50_ms": row.p50_ms,
            }
            for row in section_rows(run)
        ],
        "variations": spread_json(run),
        "judges": [figures.as_dict() for figures in judge_figures(run)],
    }


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


ZIP = Export("zip", "application/zip", zip_archive)
