"""Whether size costs: one run at growing sizes, the launch of a very large one, a small one beside it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from bench import cases
from bench.portal import Portal, moment, portal
from bench.rows import Cell, Row
from bench.stores import Stores

SHARE_OVER_S = 2.0
SETTLE_S = 3.0
COMPARED_FROM = 5_000  # items: below that, start-up is most of a process's memory and time


def grown(stores: Stores, database: str, sizes: Sequence[int], in_flight: int = 256) -> list[Row]:
    """Rows of case `growth`, with the ratio of cost and memory to the first size from COMPARED_FROM on."""
    rows = [_once(stores, database, Cell(0, in_flight, size), max(sizes)) for size in sorted(sizes)]
    large = [row for row in rows if row.items >= COMPARED_FROM]
    return [compared(row, large[0]) if row in large[1:] else row for row in rows]


def _once(stores: Stores, database: str, cell: Cell, most_items: int) -> Row:
    with cases.engine(stores, cell, database, 0 if database == "sqlite" else 1, most_items) as measure:
        return replace(measure(), case="growth")


def compared(row: Row, first: Row) -> Row:
    assert row.cpu_s_per_1000 and first.cpu_s_per_1000 and row.rss_mb and first.rss_mb
    ratios = {
        "cpu_ratio": row.cpu_s_per_1000 / first.cpu_s_per_1000,
        "memory_ratio": row.rss_mb / first.rss_mb,
    }
    return replace(row, more=row.more | ratios)


@contextmanager
def on_a_copy(stores: Stores, database: str, items: int) -> Iterator[Portal]:
    prepared = stores.copy(database, items)
    try:
        with portal(prepared, 0 if database == "sqlite" else 1) as running:
            yield running
    finally:
        stores.drop(prepared)


def launched(stores: Stores, database: str, items: int, in_flight: int = 256) -> Row:
    """Row of case `launch`: seconds until the API answered and until the first call reached the endpoint."""
    stores.endpoint.reset(latency_ms=50)
    with on_a_copy(stores, database, items) as running:
        began = time.perf_counter()
        _, launch_s = running.launch(items, in_flight)
        while not stores.endpoint.stats()["total"]:
            time.sleep(0.01)
            assert time.perf_counter() - began < 60, "no call within a minute"
        first_call_s = time.perf_counter() - began
    return Cell(50, in_flight, items).row(
        "launch", database, 1, more={"launch_s": launch_s, "first_call_s": first_call_s}
    )


def fairness(stores: Stores, database: str, large: int, small: int = 200) -> Row:
    """Row of case `fairness`: a small run launched beside a large one at a provider that is fully used.

    `share`: of all calls sent from the small run's first call until it was done, at most
    SHARE_OVER_S, those of the small run; two runs at one provider make 0.5 the fair share.
    """
    stores.endpoint.reset(latency_ms=50)
    with on_a_copy(stores, database, large) as running:
        big, _ = running.launch(large, stores.narrow, "narrow")
        time.sleep(SETTLE_S)
        began = time.perf_counter()
        run, _ = running.launch(small, stores.narrow, "narrow")
        done_s = running.wait(run, 300) - began
        time.sleep(SETTLE_S)  # until the large run's calls of that time have ended too
        share, first_s = shares(running, big, run)
        running.check(run)
    return Cell(50, stores.narrow, small).row(
        "fairness", database, 1,
        more={"share": share, "first_call_s": first_s, "done_s": done_s, "large_items": large},
    )  # fmt: skip


def shares(running: Portal, big: int, small: int) -> tuple[float, float]:
    """(share of the calls, seconds from the launch to the first one) of the small run.

    Calls whose end is on record: those are dated by when they went out, others by when they were leased.
    """
    query = running.prepared.query
    sent = "SELECT started_at FROM runs_attempt WHERE run_id = %s AND outcome <> 'open'"
    mine = sorted(moment(row[0]) for row in query(sent, small))
    others = [moment(row[0]) for row in query(sent, big)]
    [(created,)] = query("SELECT created_at FROM runs_run WHERE id = %s", small)
    end = min(mine[-1], mine[0] + timedelta(seconds=SHARE_OVER_S))
    ours = sum(at <= end for at in mine)
    theirs = sum(mine[0] <= at <= end for at in others)
    return ours / (ours + theirs), (mine[0] - moment(created)).total_seconds()
