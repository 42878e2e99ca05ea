"""The engine's speed, beside a loop that stores nothing: `make bench`, or `python -m bench --quick`.

One process tree starts the stub endpoint, PostgreSQL and Redis, and for every measurement a portal
on a fresh copy of a prepared database. Repetitions are interleaved, so that a ratio compares
neighbours; figures are medians. Every run's counters are checked against COUNT(*), and the calls
that reached the endpoint against the items.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import growth, judging, report
from bench.cases import CASES, NEEDS_SERVERS
from bench.endpoint import endpoint
from bench.rows import Cell, Row, machine, median
from bench.stores import Stores, stores

EXTRA = ("growth", "launch", "fairness", "judging")
ONCE = ("client",)  # a further row, at the middle concurrency alone
PART_AT_500_MS = 4  # a quarter of the items


@dataclass(frozen=True)
class Wish:
    """What is to be measured."""

    cases: Sequence[str]
    databases: Sequence[str]  # of what the matrix leaves out
    items: int
    latencies: Sequence[float]
    in_flight: Sequence[int]
    repetitions: int
    sizes: Sequence[int]
    large: int

    def cells(self) -> Iterator[Cell]:
        for latency in self.latencies:
            for in_flight in self.in_flight:
                yield Cell(latency, in_flight, self.items // PART_AT_500_MS if latency >= 500 else self.items)

    def cases_of(self, cell: Cell) -> list[str]:
        middle = self.in_flight[len(self.in_flight) // 2]
        return [
            name for name in self.cases if name in CASES and (name not in ONCE or cell.in_flight == middle)
        ]

    @property
    def needs_servers(self) -> bool:
        apart = "postgres" in self.databases and set(EXTRA) & set(self.cases)
        return bool(apart or NEEDS_SERVERS & set(self.cases))


def wish_of(arguments: Sequence[str] | None = None) -> tuple[Wish, Path]:
    def numbers(text: str) -> list[float]:
        return [float(part) for part in text.split(",")]

    def whole(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it, once, within three minutes")
    parser.add_argument("--items", type=int, help="per run; a quarter of them at 500 ms")
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--latency-ms", type=numbers, help="comma list")
    parser.add_argument("--in-flight", type=whole, help="comma list")
    parser.add_argument("--cases", type=lambda text: text.split(","), help=", ".join((*CASES, *EXTRA)))
    parser.add_argument("--databases", type=lambda text: text.split(","), help=f"of {', '.join(EXTRA)}")
    parser.add_argument("--sizes", type=whole, help="of the growth case")
    parser.add_argument("--large", type=int, help="items of the run that is launched for its launch alone")
    parser.add_argument("--output", type=Path, default=report.RESULTS)
    flags = parser.parse_args(arguments)
    quick = flags.quick
    wish = Wish(
        cases=flags.cases or (*CASES, *EXTRA),
        databases=flags.databases or ("sqlite", "postgres"),
        items=flags.items or (4_000 if quick else 20_000),
        latencies=flags.latency_ms or (0, 50, 500),
        in_flight=flags.in_flight or ((256,) if quick else (64, 256, 1000)),
        repetitions=flags.repetitions or (1 if quick else 3),
        sizes=flags.sizes or ((1_000, 10_000) if quick else (1_000, 10_000, 100_000, 200_000)),
        large=flags.large or (20_000 if quick else 200_000),
    )
    unknown = set(wish.cases) - {*CASES, *EXTRA}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return wish, flags.output


def matrix(made: Stores, wish: Wish, say: Callable[[str], None]) -> Iterator[list[Row]]:
    """Per cell, the medians of its cases. A portal lives as long as its cell, idle between its turns."""
    for cell in wish.cells():
        found: dict[str, list[Row]] = {name: [] for name in wish.cases_of(cell)}
        with ExitStack() as stack:
            ready = {name: stack.enter_context(CASES[name](made, cell, wish.items)) for name in found}
            for number in range(wish.repetitions):
                for name, measure in ready.items():
                    found[name].append(measure().compared(found.get("bare", [])))
                    say(
                        f"{cell.latency_ms:g} ms, {cell.in_flight} in flight, repetition {number + 1}: {name}"
                    )
        yield [median(rows) for rows in found.values()]


def extras(made: Stores, wish: Wish) -> Iterator[list[Row]]:
    def often(measure: Callable[[], Row]) -> list[Row]:
        return [median([measure() for _ in range(wish.repetitions)])]

    for database in wish.databases:
        if "growth" in wish.cases:
            yield growth.grown(made, database, wish.sizes)
        if "launch" in wish.cases:
            yield often(partial(growth.launched, made, database, wish.large))
        if "fairness" in wish.cases:
            yield often(partial(growth.fairness, made, database, max(wish.sizes)))
        if "judging" in wish.cases:
            yield judging.measured(made, database, wish.repetitions)


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    wish, output = wish_of(arguments)
    began, rows = time.perf_counter(), list[Row]()

    def say(text: str) -> None:
        print(f"[{time.perf_counter() - began:5.0f} s] {text}", flush=True)

    with (
        tempfile.TemporaryDirectory(prefix="evalportal-bench-") as folder,
        endpoint() as stub,
        stores(Path(folder), stub, servers=wish.needs_servers) as made,
    ):
        print(machine(), made.postgres_settings(), sep="\n", flush=True)
        for part in (matrix(made, wish, say), extras(made, wish)):
            for found in part:
                rows += found
                report.keep((row.line() for row in found), output)
                print(report.table(found), flush=True)
    print(
        "\nAll together",
        report.table(rows),
        report.verdicts(rows),
        f"\n{len(rows)} lines kept in {output}",
        sep="\n",
    )
    return rows


if __name__ == "__main__":
    main()
