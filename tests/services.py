"""Private PostgreSQL and Redis servers for the suite, and portal processes that use them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
import redis

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
REQUIRED = os.environ.get("EVALPORTAL_REQUIRE_SERVICES") == "1"
CI = os.environ.get("CI", "").lower() in ("1", "true")


def environment(changes: dict[str, str]) -> dict[str, str]:
    """This process's environment with changes, for a portal of its own."""
    return os.environ | {"DJANGO_SETTINGS_MODULE": "evalportal.settings"} | changes


def postgres_bin() -> Path | None:
    """The folder of PostgreSQL's server programs; Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    folders = (
        [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    )
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def missing_servers() -> str:
    absent = [] if postgres_bin() else ["PostgreSQL"]
    if not shutil.which("redis-server"):
        absent.append("Redis")
    return " and ".join(absent)


def missing_browser() -> str:
    return "" if CHROMIUM else "Chromium"


def skip_or_fail(missing: str, *, required: bool) -> None:
    if required:
        pytest.fail(f"this test must run here, but {missing} is not on this machine", pytrace=False)
    pytest.skip(f"not on this machine: {missing}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(check: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The first true answer of `check`. Raises TimeoutError that names `what`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.05)
    raise TimeoutError(f"{what} did not happen within {seconds:g} s")


class Postgres:
    """A server on loopback in a temporary folder; it refuses to run as root, so root borrows `postgres`."""

    def __init__(self, max_connections: int = 200) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="evalportal-pg-"))
        self.max_connections = max_connections
        self.port = free_port()
        self.databases = 0

    def __enter__(self) -> Self:
        programs = postgres_bin()
        assert programs, "PostgreSQL is not installed"
        who = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if who:
            shutil.chown(self.folder, **who)
        data = str(self.folder / "data")
        env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": str(self.folder)}
        self.run = {"env": env, "cwd": self.folder, **who}
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "portal", "--auth=trust", "--no-sync", "-E", "UTF8"],
            check=True, capture_output=True, **self.run,
        )  # fmt: skip
        quick = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
        places = [
            "-p",
            str(self.port),
            "-k",
            str(self.folder),
            "-h",
            "127.0.0.1",
            "-c",
            f"max_connections={self.max_connections}",
        ]
        with (self.folder / "log").open("wb") as log:
            self.server = subprocess.Popen(
                [programs / "postgres", "-D", data, *places, *quick], stdout=log, stderr=log, **self.run
            )
        wait_until(self.answers, "PostgreSQL's start")
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.send_signal(signal.SIGINT)
        self.server.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str) -> str:
        return f"postgresql://portal@127.0.0.1:{self.port}/{name}"

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def new_database(self) -> str:
        self.databases += 1
        name = f"portal_{self.databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)


class Redis:
    """A server on loopback that keeps nothing."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="evalportal-redis-"))
        self.url = f"redis://127.0.0.1:{free_port()}/0"

    def __enter__(self) -> Self:
        port = self.url.rpartition(":")[2].partition("/")[0]
        self.server = subprocess.Popen(
            ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self.answers, "Redis's start")
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.terminate()
        self.server.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def emptied(self) -> str:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()
        return self.url


class Process:
    """A process of the portal (`manage.py …`, a worker, daphne) in its own environment; keeps its output."""

    def __init__(self, *arguments: str, env: dict[str, str], name: str = ""):
        self.name = name or arguments[0]
        self.log = Path(env["EVALPORTAL_DATA"]) / f"{self.name}-{time.monotonic_ns()}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=environment(env), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = 30) -> str:
        """The output once it holds `text`. Fails at once, with the output, when the process ends before."""

        def ready() -> bool:
            if text in self.output:
                return True
            assert self.process.poll() is None, f"{self.name} ended early:\n{self.output}"
            return False

        try:
            wait_until(ready, f"{text!r} in the output of {self.name}", seconds)
        except TimeoutError as error:
            raise AssertionError(f"{error}:\n{self.output}") from error
        return self.output

    def stop(self, signal_number: int = signal.SIGTERM, seconds: float = 15) -> float:
        """Seconds until it ended; a process that does not end in time is killed with its children."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} did not stop within {seconds:g} s:\n{self.output}")
        return time.monotonic() - started

    def kill(self) -> None:
        """SIGKILL for the process and all its children, as a power cut would."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
