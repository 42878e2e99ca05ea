"""What the engine must reach, as a table; the report says of each row whether it was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.rows import Row

Figure = Callable[[Row], float | None]


@dataclass(frozen=True)
class Target:
    """A bound on one figure of the rows that match; None matches all."""

    says: str
    figure: Figure
    at_least: float | None = None
    at_most: float | None = None
    case: str = "engine"
    database: str | None = None
    workers: int | None = None
    latency_ms: float | None = None
    in_flight: int | None = None

    def matches(self, row: Row) -> bool:
        wanted = (self.case, self.database, self.workers, self.latency_ms, self.in_flight)
        found = (row.case, row.database, row.workers, row.latency_ms, row.in_flight)
        return all(value is None or value == there for value, there in zip(wanted, found, strict=True))

    def met_by(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    @property
    def bound(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


def ratio(row: Row) -> float | None:
    return row.ratio_to_bare_loop


def of_limit(row: Row) -> float | None:
    return row.ratio_to_limit


def more(name: str) -> Figure:
    return lambda row: row.more.get(name)


def on(database: str, workers: int, at_least: float) -> Target:
    """Of the bare loop at 50 ms and 256 in flight."""
    says = f"of the bare loop: {database}, {workers} worker{'s' if workers > 1 else ''}, 50 ms, 256 in flight"
    return Target(says, ratio, at_least, database=database, workers=workers, latency_ms=50, in_flight=256)


def near_limit(in_flight: int, at_least: float) -> Target:
    says = f"of concurrency / latency: 500 ms, {in_flight:,} in flight"
    return Target(says, of_limit, at_least, latency_ms=500, in_flight=in_flight)


TARGETS: Sequence[Target] = (
    on("sqlite", 1, 0.85),
    on("postgres", 1, 0.80),
    on("postgres", 2, 0.95),
    Target("of the bare loop: 0 ms", ratio, 0.65, latency_ms=0),
    near_limit(64, 0.95),
    near_limit(256, 0.95),
    near_limit(1000, 0.85),
    Target("CPU seconds per 1,000 items", lambda row: row.cpu_s_per_1000, at_most=1.2),
    Target("MB of a worker at its peak", lambda row: row.rss_mb, at_most=150, database="postgres"),
    Target("the same at any size of run", lambda row: row.rss_mb, None, 150, "growth", "postgres"),
    Target("times the memory of a 20 times smaller run", more("memory_ratio"), at_most=1.1, case="growth"),
    Target("times the CPU per item of a smaller run", more("cpu_ratio"), at_most=1.15, case="growth"),
    Target("seconds until the largest launch answers", more("launch_s"), at_most=2, case="launch"),
    Target("seconds until its first call", more("first_call_s"), at_most=5, case="launch"),
    Target("of the calls for a small run beside a large one", more("share"), 0.4, case="fairness"),
    Target("of plain calls: two judges", more("ratio_to_plain_calls"), 0.8, case="judging"),
)


@dataclass(frozen=True)
class Finding:
    """A target, the rows that it speaks of, and the worst of their values."""

    target: Target
    row: Row | None
    value: float | None

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        return "reached" if self.target.met_by(self.value) else "MISSED"


def findings(rows: Sequence[Row]) -> list[Finding]:
    """Of each target, the row that is worst."""
    found = []
    for target in TARGETS:
        values = [
            (value, row) for row in rows if target.matches(row) and (value := target.figure(row)) is not None
        ]
        if not values:
            found.append(Finding(target, None, None))
            continue
        pick = min if target.at_least is not None else max
        value, row = pick(values, key=lambda pair: pair[0])
        found.append(Finding(target, row, value))
    return found
