"""Measures the reference that needs no engine (bench.naive_tasks) on a bounded number of items."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench import processes
from bench.rows import Cell, Row
from bench.stores import Stores
from tests.services import ROOT, Process, environment, wait_until

MOST_ITEMS = 1_000


@contextmanager
def worker(stores: Stores, cell: Cell, most_items: int = 0) -> Iterator[Callable[[], Row]]:
    """PostgreSQL and Redis, one worker with a thread, and so a connection, per call in flight.

    It lives in its turn alone: a thousand idle threads and connections would take from the other cases.
    """
    items, threads = min(cell.items, MOST_ITEMS), cell.in_flight
    prepared, runs = stores.copy("postgres", max(most_items, cell.items)), list[float]()
    command = ("-m", "celery", "-A", "bench.naive_tasks", "worker", "--pool", "threads")
    sending = [sys.executable, "-m", "bench.naive_tasks", str(items)]

    def done() -> bool:
        [(count,)] = prepared.query("SELECT count(*) FROM runs_trial WHERE state = 'done'")
        return bool(count >= items * len(runs))

    def measure() -> Row:
        stores.endpoint.reset(latency_ms=cell.latency_ms)
        began = time.perf_counter()
        runs.append(began)
        process = Process(
            *command, "--concurrency", str(threads), "-l", "INFO", env=prepared.env, name="naive"
        )
        try:
            process.wait_for("ready.", 60)
            used = processes.cpu_s(process.process.pid)
            subprocess.run(sending, cwd=ROOT, env=environment(prepared.env), check=True)
            wait_until(done, "the end of the naive run", 300)
            took_s, stats = time.perf_counter() - began, stores.endpoint.stats()
            assert stats["total"] == items, f"{stats['total']} calls reached the endpoint for {items} items"
            return Row(
                case="naive",
                database="postgres",
                workers=1,
                latency_ms=cell.latency_ms,
                in_flight=cell.in_flight,
                items=items,
                items_per_second=items / took_s,
                window_items_per_second=stats["requests_per_s"],
                cpu_s_per_1000=(processes.cpu_s(process.process.pid) - used) / items * 1000,
                rss_mb=processes.peak_mb(process.process.pid),
                more={"threads": threads},
            )
        finally:
            process.kill()

    try:
        yield measure
    finally:
        stores.drop(prepared)
