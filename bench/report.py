"""What a bench prints, and the lines it keeps."""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.rows import Row
from bench.targets import findings
from tests.services import ROOT

RESULTS = ROOT / "var" / "bench.jsonl"
COLUMNS = {
    "case": 32, "items": 8, "window/s": 9, "whole/s": 9, "of bare": 8, "of limit": 8, "CPU s/1k": 8,
    "peak MB": 8, "spread": 6, "also": 0,
}  # fmt: skip


def keep(lines: Iterable[dict[str, Any]], path: Path = RESULTS) -> None:
    """Appended as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def table(rows: Sequence[Row]) -> str:
    """One block per latency and concurrency, with the limit above it."""
    lines = []
    for (latency_ms, in_flight), group in groupby(rows, key=lambda row: (row.latency_ms, row.in_flight)):
        limit = f"limit {in_flight / latency_ms * 1000:,.0f} items/s" if latency_ms else "no limit by latency"
        lines += ["", f"{latency_ms:g} ms, {in_flight:,} in flight: {limit}", columns(list(COLUMNS))]
        lines += [columns(cells(row)) for row in group]
    return "\n".join(lines)


def cells(row: Row) -> tuple[str, ...]:
    return (
        row.label, f"{row.items:,}", shown(row.window_items_per_second, ",.0f"),
        shown(row.items_per_second, ",.0f"), shown(row.ratio_to_bare_loop, ".2f"),
        shown(row.ratio_to_limit, ".2f"), shown(row.cpu_s_per_1000, ".2f"), shown(row.rss_mb, ".0f"),
        f"±{row.spread / 2:.0%}" if row.repetitions > 1 else "", also(row),
    )  # fmt: skip


def shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def also(row: Row) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in row.more.items() if value is not None)


def columns(texts: Sequence[str]) -> str:
    first, *rest = texts
    right = (f"{text:>{width}}" for text, width in zip(rest, list(COLUMNS.values())[1:], strict=True))
    return f"  {first:<{COLUMNS['case']}} {' '.join(right)}".rstrip()


def verdicts(rows: Sequence[Row]) -> str:
    """Each target, its worst value, and which row that was."""
    lines = ["", "Targets (the worst row of each)"]
    for found in findings(rows):
        value = "" if found.value is None else f"{found.value:.3g}"
        where = ""
        if found.row:
            row = found.row
            where = f"{row.label}, {row.latency_ms:g} ms, {row.in_flight:,} in flight, {row.items:,} items"
        lines.append(
            f"  {found.verdict:<12} {value:>6} {found.target.bound:>7}  {found.target.says}"
            + (f"  ({where})" if where else "")
        )
    return "\n".join(lines)
