"""The scaled form with the settings of docker-compose.yml: PostgreSQL, Redis, Daphne, two prefork workers."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
import pytest

from tests.services import ROOT, Postgres, Process, Redis, environment, free_port, wait_until
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.services
ITEMS = 300
WORKER = (
    "-m",
    "celery",
    "-A",
    "evalportal",
    "worker",
    "--pool",
    "prefork",
    "--concurrency",
    "2",
    "-l",
    "INFO",
)


@dataclass
class Scaled:
    """A portal of four processes besides the servers."""

    env: dict[str, str]
    url: str
    workers: list[Process]

    def do(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT, env=environment(self.env), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def scenario(self, *arguments: str) -> dict[str, Any]:
        return dict(json.loads(self.do("-m", "tests.evalportal.scaled_scenario", *arguments)))


@pytest.fixture(scope="module")
def scaled(
    postgres_server: Postgres, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scaled]:
    port = free_port()
    env = {
        "DATABASE_URL": postgres_server.new_database(),
        "REDIS_URL": redis_server.emptied(),
        "EVALPORTAL_DATA": str(tmp_path_factory.mktemp("scaled")),
        "EVALPORTAL_OUTBOUND_ALLOW": "127.0.0.1/32",
    }
    portal = Scaled(env, f"http://127.0.0.1:{port}", [])
    portal.do("manage.py", "migrate", "--verbosity", "0")
    with ExitStack() as stack:
        for name in ("one", "two"):
            worker = Process(*WORKER, "-n", f"{name}@%h", env=env, name=f"worker-{name}")
            portal.workers.append(stack.enter_context(worker))
        daphne = ("-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "evalportal.asgi:application")
        stack.enter_context(Process(*daphne, env=env, name="daphne"))
        wait_until(lambda: answers(portal.url), "the portal's start", 30)
        for worker in portal.workers:
            worker.wait_for("ready.", 30)
        yield portal
        for worker in portal.workers:
            worker.kill()  # the test is over: nobody waits for a warm shutdown


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


async def watch(url: str, session: str, run: int, word: str) -> str:
    """Frames of a run's page until one holds `word`."""
    async with (
        aiohttp.ClientSession(cookies={"sessionid": session}) as browser,
        asyncio.timeout(60),
        browser.ws_connect(f"{url}/ws/w/alpha/?view=run&run={run}", headers={"origin": url}) as socket,
    ):
        async for frame in socket:
            if word in frame.data:
                return str(frame.data)
    raise AssertionError("the socket was closed")


def test_an_outsider_gets_no_socket(scaled: Scaled) -> None:
    async def knock() -> None:
        async with aiohttp.ClientSession() as browser:
            await browser.ws_connect(f"{scaled.url}/ws/w/alpha/", headers={"origin": scaled.url})

    with pytest.raises(aiohttp.WSServerHandshakeError):
        asyncio.run(knock())


def test_up_serves_pages_only_where_workers_run_apart(scaled: Scaled) -> None:
    port = free_port()
    with Process("manage.py", "up", "--port", str(port), env=scaled.env, name="up") as process:
        said = process.wait_for("Ctrl-C stops it.", 30)
        assert "Pages only" in said and "Log in as" not in said
        assert answers(f"http://127.0.0.1:{port}")
        assert process.stop() < 3


def test_two_workers_finish_what_a_third_process_shows(scaled: Scaled, stub: StubEndpoint) -> None:
    """One worker is killed on the way: nothing is lost, nothing scored twice."""
    stub.set(latency_ms=150)
    made = scaled.scenario("prepare", stub.base_url, str(ITEMS))
    wait_until(lambda: stub.stats.status[200] > ITEMS // 3, "the first answers", 30)
    scaled.workers[0].kill()
    frame = asyncio.run(watch(scaled.url, made["session"], made["runs"][0], "completed"))
    assert f"run-{made['runs'][0]}" in frame

    def finished() -> dict[str, Any] | None:
        found = scaled.scenario("check")
        return found if all(run["status"] == "completed" for run in found.values()) else None

    found = wait_until(finished, "the end of both runs", 90)
    expected = {"status": "completed", "done": ITEMS, "errored": 0, "differing": "{}"}
    assert found == {str(run): expected for run in made["runs"]}
    assert stub.stats.duplicates <= 32, "answered items were asked again"
    page = httpx.get(f"{scaled.url}/w/alpha/runs/", cookies={"sessionid": made["session"]})
    assert page.status_code == 200 and "stub-model" in page.text
