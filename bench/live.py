"""Live pages under load: many sockets on many live runs, from the record in the database to the frame."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench import processes
from bench.portal import Portal, moment, portal
from bench.stores import Stores, scenario
from tests.services import ROOT, environment

Frames = Sequence[Sequence[Sequence[float]]]  # by socket: arrival, run, items attended
LATENCY_MS, IN_FLIGHT = 500, 8  # of each run: 16 items a second
PER_SECOND = IN_FLIGHT * 1000 / LATENCY_MS
BOARD_SHARE = 0.1  # of the sockets; each of these gets the frames of all runs
SETTLE_S = 2.0
LAST_S = 3.0  # records of these last seconds may lack their frame, so they are left out


def live(stores: Stores, database: str, sockets: int, runs: int, seconds: float) -> dict[str, Any]:
    """A line of case `sockets`: latencies in ms from record to frame, CPU in cores, memory in MB.

    On SQLite the portal's one process also executes the runs; on PostgreSQL pages and worker are apart.
    """
    items = int(PER_SECOND * (seconds + 60))
    prepared = stores.copy(database, items)
    stores.endpoint.reset(latency_ms=LATENCY_MS)
    session = scenario(prepared.env, "session")["session"]
    try:
        with portal(prepared, 0 if database == "sqlite" else 1) as running:
            made = [running.launch(items, IN_FLIGHT)[0] for _ in range(runs)]
            time.sleep(SETTLE_S)
            return _watched(running, session, made, sockets, seconds) | {"database": database}
    finally:
        stores.drop(prepared)


def _watched(
    running: Portal, session: str, runs: Sequence[int], sockets: int, seconds: float
) -> dict[str, Any]:
    pages = running.pages.process.pid
    board = max(1, round(sockets * BOARD_SHARE))
    numbers = [",".join(map(str, runs)), str(sockets), str(board), str(seconds)]
    command = [sys.executable, "-m", "bench.sockets", running.url, session, *numbers]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment({}), stdout=subprocess.PIPE, text=True
    ) as browsers:
        assert browsers.stdout
        if browsers.stdout.readline().strip() != "open":
            raise RuntimeError("the sockets were not opened")
        used, began = processes.cpu_s(pages), time.perf_counter()
        time.sleep(seconds * 0.9)  # reading the answer is not part of it
        cores = (processes.cpu_s(pages) - used) / (time.perf_counter() - began)
        found = json.loads(browsers.stdout.read())
    since = found["watched_from"] + 1
    until = found["watched_from"] + seconds - LAST_S
    delays, missing = _delays(running, runs, found["frames"], since, until)
    p50, p95, worst = (float(np.percentile(delays, share)) * 1000 for share in (50, 95, 100))
    return {
        "case": "sockets", "sockets": sockets, "board_sockets": board, "runs": len(runs),
        "items_per_second": round(len(runs) * PER_SECOND),
        "opened": found["opened"], "opened_s": found["opened_s"],
        "retried": found["retried"], "lost": found["lost"],
        "p50_ms": p50, "p95_ms": p95, "worst_ms": worst,
        "records": len(delays), "records_without_frame": missing,
        "frames_per_second": found["messages"] / seconds, "mb_per_second": found["bytes"] / 1e6 / seconds,
        "web_cores": cores, "web_rss_mb": processes.peak_mb(pages),
        "web_unshared_mb": processes.unshared_mb(pages), "client_cores": found["cpu_s"] / seconds,
    }  # fmt: skip


def _delays(
    running: Portal,
    runs: Sequence[int],
    frames: Frames,
    since: float,
    until: float,
) -> tuple[Any, int]:
    """Seconds from each record between the two moments to the first frame that counts it, of each socket
    that should show it; and how many records no frame counted."""
    recorded = {run: _recorded(running, run) for run in runs}
    found, missing = [np.empty(0)], 0
    for seen in frames:
        by_run: dict[int, list[tuple[float, float]]] = {}
        for at, run, count in seen:
            by_run.setdefault(int(run), []).append((at, count))
        for run, pairs in by_run.items():
            moments, counts = recorded[run]
            arrivals, shown = np.array(pairs).T
            wanted = (moments >= since) & (moments <= until)
            first = np.searchsorted(np.maximum.accumulate(shown), counts[wanted])
            known = first < len(arrivals)
            missing += int((~known).sum())
            found.append(arrivals[first[known]] - moments[wanted][known])
    return np.concatenate(found), missing


def _recorded(running: Portal, run: int) -> tuple[Any, Any]:
    """(seconds since the epoch of each batch that was recorded, items recorded by then)."""
    rows = running.prepared.query(
        "SELECT finished_at, count(*) FROM runs_trial WHERE run_id = %s AND finished_at IS NOT NULL"
        " GROUP BY finished_at ORDER BY finished_at",
        run,
    )
    moments = np.array([moment(at).timestamp() for at, _ in rows])
    return moments, np.cumsum([count for _, count in rows])
