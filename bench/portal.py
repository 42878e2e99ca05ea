"""A portal as people start it, measured from outside: processes, launches over the API, waiting, figures.

Embedded: `manage.py up --no-demo`, one process that serves pages and executes runs (SQLite).
Scaled: the same command for the pages alone, and `celery -A evalportal worker` processes.
"""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench import processes
from bench.stores import Prepared, scenario
from tests.services import Process, free_port

WORKER = (
    "-m",
    "celery",
    "-A",
    "evalportal",
    "worker",
    "--pool",
    "prefork",
    "--concurrency",
    "1",
    "-l",
    "INFO",
)
LOOK_EVERY_S = 0.1
WATCH_EVERY_S = 1.0  # memory: a look costs the machine 5 ms
FINISHED = ("completed", "failed", "canceled", "paused")


@dataclass
class Portal:
    """Running processes on one prepared database."""

    prepared: Prepared
    pages: Process
    workers: list[Process]
    port: int
    start_s: float  # until pages were served and workers ready
    peak_unshared_mb: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def engine_pids(self) -> list[int]:
        """The processes that execute runs; their children count with them."""
        return [process.process.pid for process in self.workers or [self.pages]]

    def launch(
        self, items: int, in_flight: int, model: str = "wide", judges: Sequence[int] = ()
    ) -> tuple[int, float]:
        """(run, seconds until the API answered)."""
        wish = {
            "dataset_version_id": self.prepared.ids["version"], "model_ids": [self.prepared.ids[model]],
            "scorers": [{"key": "numeric"}], "concurrency": in_flight, "limit": items,
            "judges": list(judges),
        }  # fmt: skip
        headers = {
            "Authorization": f"Bearer {self.prepared.ids['token']}", "Content-Type": "application/json",
        }  # fmt: skip
        request = urllib.request.Request(
            f"{self.url}/api/v1/evaluations", json.dumps(wish).encode(), headers, method="POST"
        )
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=120) as answer:
            made = json.load(answer)
        return int(made["runs"][0]), time.perf_counter() - began

    def wait(self, run: int, within_s: float = 1800) -> float:
        """The moment (perf_counter) when the run was seen completed. Fails on any other end."""
        deadline = time.perf_counter() + within_s
        while time.perf_counter() < deadline:
            status, reason, done, total = self.prepared.query(
                "SELECT status, status_reason, done, total FROM runs_run WHERE id = %s", run
            )[0]
            if status in FINISHED:
                seen = time.perf_counter()
                assert (status, done) == ("completed", total), f"{status}: {done} of {total}: {reason}"
                return seen
            time.sleep(LOOK_EVERY_S)
        raise TimeoutError(f"run {run} did not end within {within_s:g} s")

    def window_s(self, run: int) -> float:
        """Seconds from the first request sent to the last answer recorded and the run closed."""
        query = self.prepared.query
        [(first,)] = query("SELECT min(started_at) FROM runs_attempt WHERE run_id = %s", run)
        [(last,)] = query("SELECT max(finished_at) FROM runs_trial WHERE run_id = %s", run)
        [(closed,)] = query("SELECT finished_at FROM runs_run WHERE id = %s", run)
        return (max(moment(last), moment(closed)) - moment(first)).total_seconds()

    def check(self, *runs: int) -> None:
        """Fails when a counter of a run differs from COUNT(*)."""
        differing = scenario(self.prepared.env, "check", *map(str, runs))
        assert not differing, f"counters differ from COUNT(*): {differing}"

    def watch_memory(self) -> None:
        while not self.over.wait(WATCH_EVERY_S):
            self.peak_unshared_mb = max(self.peak_unshared_mb, processes.unshared_mb(*self.engine_pids))


def moment(value: Any) -> datetime:
    """A timestamp as PostgreSQL or SQLite gives it."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


@contextmanager
def portal(prepared: Prepared, workers: int) -> Iterator[Portal]:
    """Started and ready; killed at the end, since what it stored has been read by then."""
    began, port = time.perf_counter(), free_port()
    with ExitStack() as stack:

        def start(*arguments: str, name: str) -> Process:
            process = Process(*arguments, env=prepared.env, name=name)
            stack.callback(process.kill)
            return process

        pages = start("manage.py", "up", "--no-demo", "--port", str(port), name="pages")
        working = [start(*WORKER, "-n", f"w{n}@%h", name=f"worker-{n}") for n in range(workers)]
        pages.wait_for("Ctrl-C stops it.", 60)
        for worker in working:
            worker.wait_for("ready.", 60)
        made = Portal(prepared, pages, working, port, time.perf_counter() - began)
        watcher = threading.Thread(target=made.watch_memory, daemon=True)
        watcher.start()
        stack.callback(watcher.join)
        stack.callback(made.over.set)
        yield made
