"""What the terminal shows: a progress bar on stderr, then a table or one JSON object on stdout."""

import json
import time
from dataclasses import dataclass, field
from typing import Any, TextIO

from judges.metrics import Estimate
from runs.metrics import Metric, metrics_json, run_metrics
from runs.models import Run

WIDTH = 28
LINE_EVERY_S = 5.0  # where stderr is a file: a line now and then, not a bar


@dataclass
class Bar:
    """Redrawn in place on a terminal, a line every few seconds elsewhere."""

    out: TextIO
    started: float = field(default_factory=time.monotonic)
    first: int | None = None
    drawn_at: float = 0.0
    last: str = ""

    def show(self, run: Run, estimate: Estimate | None) -> None:
        """`estimate` is the primary figure so far."""
        self.first = run.terminal if self.first is None else self.first
        text = self.text(run, estimate)
        if self.out.isatty():
            self.out.write(f"\r\x1b[K{text}")
            self.out.flush()
        elif time.monotonic() - self.drawn_at > LINE_EVERY_S and text != self.last:
            self.out.write(f"{text}\n")
            self.drawn_at, self.last = time.monotonic(), text

    def text(self, run: Run, estimate: Estimate | None) -> str:
        done, total = run.terminal, max(1, run.total)
        filled = WIDTH * done // total
        parts = [
            f"{'█' * filled}{'░' * (WIDTH - filled)} {done:,}/{run.total:,} ({100 * done // total} %)",
            f"{self.pace(done):,.0f} items/s",
        ]
        if estimate:
            parts.append(f"accuracy so far {100 * (estimate.value or 0):.1f} %")
        if run.errored:
            parts.append(f"{run.errored:,} errors")
        return " · ".join(parts)

    def pace(self, done: int) -> float:
        elapsed = time.monotonic() - self.started
        return (done - (self.first or 0)) / elapsed if elapsed > 0 else 0.0

    def clear(self) -> None:
        if self.out.isatty():
            self.out.write("\r\x1b[K")
            self.out.flush()


def document(run: Run, *, seconds: float, done: int) -> dict[str, Any]:
    """The one JSON object of `--json`. `done` trials took `seconds`."""
    return {
        "run": run.pk,
        "status": run.status,
        "n": run.total,
        "errors": run.errored,
        "metrics": metrics_json(run),
        "seconds": round(seconds, 3),
        "items_per_second": round(done / seconds, 1) if seconds > 0 else 0.0,
    }


def json_document(run: Run, *, seconds: float, done: int) -> str:
    return json.dumps(document(run, seconds=seconds, done=done), ensure_ascii=False)


def table(run: Run, *, seconds: float, done: int) -> str:
    """The run's figures with their intervals, for reading."""
    pace = f"{done / seconds:,.0f} items/s" if seconds > 0 else ""
    facts = [f"{run.total:,} items", f"{run.errored:,} errors", f"{seconds:.1f} s", pace]
    head = f"Run {run.pk}, {run.alias}: {run.status} · {' · '.join(fact for fact in facts if fact)}"
    rows = [("Metric", "Value", "95% interval", "n", "")]
    rows += [_row(metric) for metric in run_metrics(run) if metric.key not in ("errors", "duration")]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join([head, "", *(_aligned(row, widths) for row in rows)])


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    label, value, bounds, n = (
        f"{cell:{side}{width}}" for cell, side, width in zip(row[:4], "<><>", widths, strict=True)
    )
    return "  ".join([label, value, bounds, n, row[4]]).rstrip()


def _row(metric: Metric) -> tuple[str, str, str, str, str]:
    bounds = ""
    if metric.low is not None or metric.high is not None:
        bounds = f"[{_figure(metric.low, metric.unit)}, {_figure(metric.high, metric.unit)}]"
    notes = [f"{metric.correct:,} of {metric.n:,}" if metric.correct is not None else "", metric.note]
    note = "; ".join(text for text in notes if text)
    return metric.label, _figure(metric.value, metric.unit), bounds, f"{metric.n:,}" if metric.n else "", note


def _figure(value: Any, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "ms":
        return f"{value:,.0f} ms" if value < 1000 else f"{value / 1000:,.1f} s"
    if unit == "usd":
        return f"${value:,.4f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
