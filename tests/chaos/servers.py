"""Servers and a scripted provider that can be broken and come back on the same port."""

import json
import re
import signal
import subprocess
import sys
import time
from typing import Any, Self

import httpx
import psycopg
import redis

from tests.services import ROOT, Postgres, Redis, environment, wait_until


class BreakablePostgres(Postgres):
    """Keeps what it has confirmed through an immediate shutdown, unlike the suite's own server."""

    def new_database(self) -> str:
        url = super().new_database()
        with psycopg.connect(url, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on'.encode())
        return url

    def restart_at_once(self) -> None:
        """An immediate shutdown: every connection breaks, the next start recovers from the log."""
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait(10)
        with (self.folder / "log").open("ab") as log:
            self.server = subprocess.Popen(self.server.args, stdout=log, stderr=log, **self.run)
        wait_until(self.answers, "PostgreSQL's return")


class BreakableRedis(Redis):
    """Forgets everything when it goes."""

    def stop(self) -> None:
        self.server.kill()
        self.server.wait(10)

    def start(self) -> None:
        self.server = subprocess.Popen(self.server.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.answers, "Redis's return")

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


class ScriptedProvider:
    """The scripted endpoint in a process of its own."""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.stub_endpoint", "--port", "0"],
            cwd=ROOT, env=environment({}), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found, "the scripted endpoint did not start"
        self.base_url = found[0]
        self.http = httpx.Client(base_url=self.base_url.removesuffix("/v1"), timeout=30)
        return self

    def __exit__(self, *exc: object) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(10)

    def reset(self, **options: Any) -> None:
        """Zeroed counters; options as in `tests.stub_endpoint.Options`."""
        self.http.post("/reset", content=json.dumps(options)).raise_for_status()

    def stats(self) -> dict[str, Any]:
        return dict(self.http.get("/stats").raise_for_status().json())

    def silent_since(self, moment: float) -> bool:
        """Whether no call came after that time.time()."""
        return float(self.stats()["latest"]) <= moment

    def wait_silent(self, seconds: float) -> None:
        time.sleep(seconds)
