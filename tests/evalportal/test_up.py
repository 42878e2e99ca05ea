"""`manage.py up` as a person meets it: the first start, a second one, Ctrl-C, kill -9."""

import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.services import ROOT, Process, environment, free_port, wait_until

READY = "Ctrl-C stops it."


@dataclass
class Installation:
    """A data folder and how to start a portal on it."""

    data: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        return {"EVALPORTAL_DATA": str(self.data), "DATABASE_URL": "", "REDIS_URL": ""}

    def start(self) -> Process:
        process = Process("manage.py", "up", "--port", str(self.port), env=self.env, name="up")
        process.wait_for(READY, 60)
        return process

    def refused(self, port: int) -> str:
        """What a second start says when it must not run."""
        done = subprocess.run(
            [sys.executable, "manage.py", "up", "--port", str(port)],
            cwd=ROOT, env=environment(self.env), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        return done.stderr

    def query(self, sql: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.data / "evalportal.sqlite3", timeout=10)) as connection:
            return connection.execute(sql, values).fetchall()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("installation"), free_port())


@pytest.fixture(scope="module")
def first(installation: Installation) -> Iterator[Process]:
    process = installation.start()
    yield process
    process.stop()


def test_first_start_prints_a_login_that_works(installation: Installation, first: Process) -> None:
    found = re.search(r"Log in as +(\S+) +with the password +(\S+)", first.output)
    assert found and installation.url in first.output
    kept = installation.data / "demo-login"
    assert kept.read_text().split() == list(found.groups())
    assert kept.stat().st_mode & 0o077 == 0, "others can read the login"
    with httpx.Client(base_url=installation.url, follow_redirects=True) as browser:
        form = browser.get("/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
        assert token
        answer = browser.post(
            "/accounts/login/",
            data={"csrfmiddlewaretoken": token[1], "login": found[1], "password": found[2]},
            headers={"referer": installation.url},
        )
        assert answer.status_code == 200
        assert "Demo" in answer.text and "/accounts/login/" not in str(answer.url)


def test_first_page_is_alive(installation: Installation, first: Process) -> None:
    def states() -> dict[str, str]:
        return dict(installation.query("SELECT alias, status FROM runs_run"))

    wait_until(lambda: states().get("Demo Small") == "completed", "the end of the quick run", 60)
    assert [states()[name] for name in ("Demo Medium", "Demo Large", "Demo Vision")] == ["running"] * 3
    [(items, pictures)] = installation.query(
        "SELECT (SELECT count(*) FROM datasets_item), (SELECT count(*) FROM datasets_itemasset)"
    )
    assert items >= 120 and pictures >= 8
    [(errored,)] = installation.query("SELECT sum(errored) FROM runs_run")
    assert errored == 0


def test_second_portal_on_the_same_data_is_refused(installation: Installation, first: Process) -> None:
    said = installation.refused(free_port())
    assert "already served" in said and installation.url in said


def test_taken_port_is_refused(installation: Installation, first: Process, tmp_path: Path) -> None:
    said = Installation(tmp_path, installation.port).refused(installation.port)
    assert f"Port {installation.port}" in said and "PORT=" in said


def test_survives_a_kill_and_stops_at_ctrl_c(installation: Installation, first: Process) -> None:
    """Killed in the middle, the next start goes on and asks nothing again that was answered."""
    midway = "SELECT 1 FROM runs_run WHERE done > 15 AND total > done"
    wait_until(lambda: installation.query(midway), "progress", 60)
    first.kill()
    answered = installation.query("SELECT id, attempt_count FROM runs_trial WHERE state = 'done'")
    with installation.start() as second:
        login = (installation.data / "demo-login").read_text().split()
        assert login[1] in second.output, "the login changes from start to start"

        def moved_on() -> bool:
            [(done,)] = installation.query("SELECT count(*) FROM runs_trial WHERE state = 'done'")
            return bool(done > len(answered) + 10)

        wait_until(moved_on, "the continuation of the runs", 60)
        now = dict(installation.query("SELECT id, attempt_count FROM runs_trial WHERE state = 'done'"))
        assert all(now[trial] == attempts for trial, attempts in answered), "an answered item was asked again"
        [(twice,)] = installation.query(
            "SELECT count(*) FROM (SELECT 1 FROM runs_score GROUP BY trial_id, scorer HAVING count(*) > 1)"
        )
        assert twice == 0
        assert second.stop(signal.SIGINT) < 12
        assert second.process.returncode == 0
        assert "Stopped." in second.output and "Traceback" not in second.output


def test_without_the_demo_there_is_no_login(tmp_path: Path) -> None:
    installation = Installation(tmp_path, free_port())
    with Process(
        "manage.py", "up", "--no-demo", "--port", str(installation.port), env=installation.env, name="up"
    ) as process:
        said = process.wait_for(READY, 60)
        assert "Log in as" not in said and "with the code in" in said
        assert httpx.get(f"{installation.url}/healthz").status_code == 200
        assert installation.query("SELECT count(*) FROM workspaces_user") == [(0,)]
        assert process.stop(signal.SIGTERM) < 3
