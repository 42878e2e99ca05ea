"""A measurement's figures, the median of its repetitions, and the JSON line that is kept of it."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bench.processes import machine


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one case came to. Rates are items a second, CPU is seconds per 1,000 items.

    `ratio_to_bare_loop` compares working windows within one repetition.
    """

    case: str
    database: str
    workers: int
    latency_ms: float
    in_flight: int
    items: int
    items_per_second: float | None = None
    window_items_per_second: float | None = None
    cpu_s_per_1000: float | None = None
    rss_mb: float | None = None
    ratio_to_bare_loop: float | None = None
    repetitions: int = 1
    spread: float = 0.0  # of the window's rate: (highest - lowest) / median
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, int, float, int, int]:
        """Which measurement this is."""
        return self.case, self.database, self.workers, self.latency_ms, self.in_flight, self.items

    @property
    def label(self) -> str:
        if self.case in NAMES:
            return NAMES[self.case]
        return f"{self.case}, {self.database}, {self.workers} worker{'s' if self.workers > 1 else ''}"

    @property
    def ratio_to_limit(self) -> float | None:
        """Of concurrency / latency."""
        if not self.latency_ms or self.window_items_per_second is None:
            return None
        return self.window_items_per_second * self.latency_ms / 1000 / self.in_flight

    def compared(self, bare: "Sequence[Row]") -> "Row":
        """With the ratio to the latest bare loop, if there is one."""
        rate = self.window_items_per_second if self.case == "bare" else None
        if bare and not rate:
            rate = bare[-1].window_items_per_second
        if not rate or not self.window_items_per_second:
            return self
        return replace(self, ratio_to_bare_loop=self.window_items_per_second / rate)

    def line(self) -> dict[str, Any]:
        """As it is kept in var/bench.jsonl."""
        figures = {
            "case": self.case, "database": self.database, "workers": self.workers,
            "latency_ms": self.latency_ms, "in_flight": self.in_flight, "items": self.items,
            "items_per_second": self.items_per_second,
            "window_items_per_second": self.window_items_per_second,
            "cpu_s_per_1000": self.cpu_s_per_1000, "rss_mb": self.rss_mb,
            "ratio_to_bare_loop": self.ratio_to_bare_loop, "ratio_to_limit": self.ratio_to_limit,
            "repetitions": self.repetitions, "spread": self.spread,
        }  # fmt: skip
        return {name: rounded(value) for name, value in (figures | self.more).items()} | stamp()


@dataclass(frozen=True)
class Cell:
    """One place of the matrix: what all its cases share."""

    latency_ms: float
    in_flight: int
    items: int

    @property
    def limit(self) -> float | None:
        """Items a second that concurrency / latency allows."""
        return self.in_flight / self.latency_ms * 1000 if self.latency_ms else None

    def row(self, case: str, database: str, workers: int, **figures: Any) -> Row:
        return Row(
            case=case, database=database, workers=workers, latency_ms=self.latency_ms,
            in_flight=self.in_flight, items=self.items, **figures,
        )  # fmt: skip


NAMES = {
    "bare": "bare loop over httpx-aiohttp",
    "client": "bare loop over our client",
    "naive": "one Celery task per item",
}


def rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def stamp() -> dict[str, str]:
    """When and where: on every kept line."""
    return {"machine": machine(), "at": datetime.now(UTC).isoformat(timespec="seconds")}


def median(rows: Sequence[Row]) -> Row:
    """One row of medians, each figure by itself; of memory the highest."""
    figures = ("items_per_second", "window_items_per_second", "cpu_s_per_1000", "ratio_to_bare_loop")
    values = {name: middle([getattr(row, name) for row in rows]) for name in figures}
    rates = [row.window_items_per_second or 0 for row in rows]
    return replace(
        rows[0],
        **values,
        rss_mb=max((row.rss_mb for row in rows if row.rss_mb is not None), default=None),
        repetitions=len(rows),
        spread=(max(rates) - min(rates)) / (statistics.median(rates) or 1),
        more={name: middle([row.more[name] for row in rows]) for name in rows[0].more},
    )


def middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
