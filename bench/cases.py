"""What is measured: each case is a context that gives a function, and each call of that one repetition."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from bench import naive, processes
from bench.portal import Portal, portal
from bench.rows import Cell, Row
from bench.stores import Stores
from tests.services import ROOT, environment

Repetition = Callable[[], Row]


@contextmanager
def bare(stores: Stores, cell: Cell, client: str, case: str) -> Iterator[Repetition]:
    """A loop that stores nothing, in a process of its own."""
    size = str(cell.items), str(cell.in_flight)
    env = environment(stores.secrets | {"EVALPORTAL_DATA": str(stores.folder)})

    def measure() -> Row:
        stores.endpoint.reset(latency_ms=cell.latency_ms)
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "bench.bare", client, stores.endpoint.base_url, *size],
            cwd=ROOT, env=env, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"bench.bare {client}\n{done.stderr}")
        whole_s, found = time.perf_counter() - began, json.loads(done.stdout)
        return cell.row(
            case,
            "none",
            1,
            items_per_second=cell.items / whole_s,
            window_items_per_second=cell.items / found["window_s"],
            cpu_s_per_1000=found["cpu_s"] / cell.items * 1000,
            rss_mb=found["rss_mb"],
        )

    yield measure


@contextmanager
def engine(
    stores: Stores, cell: Cell, database: str, workers: int, most_items: int = 0
) -> Iterator[Repetition]:
    """A portal of its own; each repetition launches a run over the API and waits for its end.

    `workers` 0: the portal's own process executes. `most_items`: the size of the prepared dataset,
    of which the run takes the first items. At the end every run's counters are checked.
    """
    prepared, runs = stores.copy(database, max(most_items, cell.items)), list[int]()
    try:
        with portal(prepared, workers) as running:

            def measure() -> Row:
                stores.endpoint.reset(latency_ms=cell.latency_ms)
                return _executed(stores, running, cell, workers, runs)

            yield measure
            running.check(*runs)
    finally:
        stores.drop(prepared)


def _executed(stores: Stores, running: Portal, cell: Cell, workers: int, runs: list[int]) -> Row:
    engines, servers = running.engine_pids, stores.server_pids() if workers else {}
    roots = {"engine": engines} | {name: [pid] for name, pid in servers.items()}
    used = {name: -processes.cpu_s(*pids) for name, pids in roots.items()}
    began = time.perf_counter()
    run, launch_s = running.launch(cell.items, cell.in_flight)
    runs.append(run)
    took_s = running.wait(run) - began
    per_1000 = {
        name: (used[name] + processes.cpu_s(*pids)) / cell.items * 1000 for name, pids in roots.items()
    }
    calls = stores.endpoint.stats()["total"]
    assert calls == cell.items, f"{calls} calls reached the endpoint for {cell.items} items"
    return cell.row(
        "engine",
        "postgres" if running.prepared.is_postgres else "sqlite",
        max(1, workers),
        items_per_second=cell.items / (running.start_s + took_s),
        window_items_per_second=cell.items / running.window_s(run),
        cpu_s_per_1000=per_1000.pop("engine"),
        rss_mb=processes.peak_mb(*engines),
        more={"unshared_mb": running.peak_unshared_mb, "launch_s": launch_s}
        | {f"{name}_cpu_s_per_1000": value for name, value in per_1000.items()},
    )


CASES: Mapping[str, Callable[[Stores, Cell, int], AbstractContextManager[Repetition]]] = {
    "bare": lambda stores, cell, most: bare(stores, cell, "httpx", "bare"),
    "client": lambda stores, cell, most: bare(stores, cell, "registry", "client"),
    "sqlite": lambda stores, cell, most: engine(stores, cell, "sqlite", 0, most),
    "postgres-1": lambda stores, cell, most: engine(stores, cell, "postgres", 1, most),
    "postgres-2": lambda stores, cell, most: engine(stores, cell, "postgres", 2, most),
    "naive": naive.worker,
}
NEEDS_SERVERS = {"postgres-1", "postgres-2", "naive"}
