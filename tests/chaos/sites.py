"""The two forms of the portal as processes of their own: one on SQLite, or web and workers on PostgreSQL."""

import json
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.servers import BreakablePostgres, BreakableRedis
from tests.services import ROOT, Process, environment, free_port, wait_until

STARTS_WITHIN_S = 60.0
SKEW = ROOT / "tests" / "chaos" / "skewed"  # on PYTHONPATH it sets a process's wall clock wrong


class Agent:
    """`tests.chaos.agent` as a process of the installation."""

    def __init__(self, env: dict[str, str]):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.agent"],
            cwd=ROOT, env=environment(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, do: str, **values: Any) -> Any:
        """Raises ConnectionError where the agent could not do it, such as without a database."""
        assert self.process.stdin and self.process.stdout
        print(json.dumps({"do": do, **values}), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise ConnectionError(answer["error"])
        return answer["is"]

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(10)


class Site(ABC):
    """An installation: its processes, which may be broken, and the agent, which is not."""

    database = ""
    worker_count = 1

    def __init__(self, env: dict[str, str], lease_s: int):
        self.port = free_port()
        self.env = env | {
            "EVALPORTAL_API_REQUESTS_PER_MINUTE": "1000000", "EVALPORTAL_ENGINE_LEASE_S": str(lease_s)
        }  # fmt: skip
        self.url = f"http://127.0.0.1:{self.port}"
        migrate = [sys.executable, "manage.py", "migrate", "-v", "0"]
        subprocess.run(migrate, cwd=ROOT, env=environment(self.env), check=True)
        self.agent = Agent(self.env)
        self.workers: list[Process] = []
        self.extra: list[Process] = []

    def start(self) -> None:
        self.workers = [self.start_worker(number) for number in range(self.worker_count)]

    @abstractmethod
    def start_worker(self, number: int, env: dict[str, str] | None = None) -> Process: ...

    @abstractmethod
    def restart_web(self) -> None: ...

    def replace_worker(self, number: int, env: dict[str, str] | None = None) -> None:
        """A new process in the place of one that has ended."""
        self.workers[number] = self.start_worker(number, env)

    def revive(self) -> list[str]:
        """Replaces workers that have ended by themselves; tells their last words."""
        died = []
        for number, worker in enumerate(self.workers):
            if worker.process.poll() is not None:
                lines = worker.output.strip().splitlines()
                last = [line for line in lines if "CRITICAL" in line] or lines or [""]
                died.append(f"{worker.name}: {last[-1]}")
                self.replace_worker(number)
        return died

    def wait_web(self) -> None:
        wait_until(self.answers, "the portal's start", STARTS_WITHIN_S)

    def answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
        return False

    def groups(self) -> set[int]:
        """Process groups of what executes runs."""
        return {worker.process.pid for worker in (*self.workers, *self.extra)}

    def holder(self, owners: Sequence[str]) -> int | None:
        """The number of the worker whose processes hold most of these leases; None when none does."""
        pids = [int(owner.split(":")[1]) for owner in owners]
        held = Counter(group_of(pid) for pid in pids)
        counts = [held[worker.process.pid] for worker in self.workers]
        return counts.index(max(counts)) if any(counts) else None

    def second_worker(
        self, runs: Sequence[int], pumps: int = 1, env: dict[str, str] | None = None
    ) -> Process:
        """A process that executes these runs beside the portal's own workers."""
        command = ("-m", "tests.chaos.agent", "work", ",".join(map(str, runs)), str(pumps))
        worker = Process(*command, env=self.env | (env or {}), name="second")
        self.extra.append(worker)
        worker.wait_for("at work", STARTS_WITHIN_S)
        return worker

    def close(self) -> None:
        for process in (*self.workers, *self.extra):
            process.kill()
        self.agent.close()


class Embedded(Site):
    database = "sqlite"

    def __init__(self, folder: Path, lease_s: int):
        super().__init__({"EVALPORTAL_DATA": str(folder), "DATABASE_URL": "", "REDIS_URL": ""}, lease_s)

    def start_worker(self, number: int, env: dict[str, str] | None = None) -> Process:
        arguments = ("manage.py", "up", "--no-demo", "--port", str(self.port))
        process = Process(*arguments, env=self.env | (env or {}), name="portal")
        process.wait_for("Ctrl-C stops it.", STARTS_WITHIN_S)
        return process

    def restart_web(self) -> None:
        """Which is the worker, too."""
        self.workers[0].stop(signal.SIGINT, 10)
        self.replace_worker(0)


class Scaled(Site):
    database = "postgresql"
    worker_count = 2

    def __init__(self, folder: Path, lease_s: int, postgres: BreakablePostgres, redis: BreakableRedis):
        self.postgres, self.redis = postgres, redis
        super().__init__(
            {
                "EVALPORTAL_DATA": str(folder),
                "DATABASE_URL": postgres.new_database(),
                "REDIS_URL": redis.url,
                "EVALPORTAL_OUTBOUND_ALLOW": "127.0.0.1/32",
            },
            lease_s,
        )

    def start(self) -> None:
        self.web = self.start_web()
        super().start()
        self.wait_web()
        for worker in self.workers:
            worker.wait_for("ready.", STARTS_WITHIN_S)

    def start_web(self) -> Process:
        daphne = ("-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "evalportal.asgi:application")
        return Process(*daphne, env=self.env, name="daphne")

    def start_worker(self, number: int, env: dict[str, str] | None = None) -> Process:
        celery = ("-m", "celery", "-A", "evalportal", "worker", "-l", "INFO")
        form = ("--pool", "prefork", "--concurrency", "2", "-n", f"worker{number}@%h")
        return Process(*celery, *form, env=self.env | (env or {}), name=f"worker{number}")

    def restart_web(self) -> None:
        self.web.kill()
        self.web = self.start_web()
        self.wait_web()

    def close(self) -> None:
        self.web.kill()
        super().close()


@contextmanager
def embedded(folder: Path, lease_s: int) -> Iterator[Embedded]:
    site = Embedded(folder, lease_s)
    try:
        site.start()
        yield site
    finally:
        site.close()


@contextmanager
def scaled(folder: Path, lease_s: int) -> Iterator[Scaled]:
    with BreakablePostgres() as postgres, BreakableRedis() as redis:
        site = Scaled(folder, lease_s, postgres, redis)
        try:
            site.start()
            yield site
        finally:
            site.close()


def group_of(pid: int) -> int:
    """0 when the process is gone."""
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return 0


def process_at(port: int, groups: set[int]) -> int | None:
    """Which process of these groups has a connection from that local port."""
    inodes = {fields[9] for fields in connections() if int(fields[1].rpartition(":")[2], 16) == port}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if group_of(int(folder.name)) in groups and holds(folder, inodes):
                return int(folder.name)
    return None


def connections() -> list[Sequence[str]]:
    return [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]


def holds(folder: Path, inodes: set[str]) -> bool:
    for link in (folder / "fd").iterdir():
        with suppress(OSError):
            if str(link.readlink()).removeprefix("socket:[").removesuffix("]") in inodes:
                return True
    return False
