"""kill -9 of the whole portal, again and again, in the middle of a run."""

import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from tests.services import ROOT, Process, environment, free_port, wait_until
from tests.stub_endpoint import StubEndpoint

ITEMS, KILLS, CONCURRENCY = 1500, (0.2, 0.4, 0.6), 32
LAUNCH = """
from django.utils import timezone
from datasets.models import Dataset, DatasetVersion, Item
from registry.models import Provider, RegisteredModel
from runs.services import Launch, launch
from workspaces.access import system_access
from workspaces.models import Workspace
alpha = Workspace.objects.create(slug="alpha", name="Alpha")
door = Provider.objects.create(workspace=alpha, name="Stub", base_url="{url}", concurrency={concurrency})
model = RegisteredModel.objects.create(workspace=alpha, provider=door, name="stub-model", source="external")
version = DatasetVersion.objects.create(
    dataset=Dataset.objects.create(workspace=alpha, name="Sums"), number=1, item_count={items},
    sections=[dict(name="", items={items})], ready_at=timezone.now())
Item.objects.bulk_create(
    Item(version=version, position=n, prompt=f"n={{n}} [[answer:{{n}}]]", references=[str(n)])
    for n in range(1, {items} + 1))
launch(system_access(alpha), Launch(
    dataset_version_id=version.pk, model_ids=[model.pk], scorers=[dict(key="numeric")]))
"""
CHECK = """
from runs.engine.check import check_run
from runs.models import Run
print(check_run(Run.objects.get().pk))
"""


class Portal:
    """A portal on a data folder of its own, without the demo."""

    def __init__(self, data: Path):
        self.data, self.port = data, free_port()
        self.env = {"EVALPORTAL_DATA": str(data), "DATABASE_URL": "", "REDIS_URL": ""}

    def start(self) -> Process:
        process = Process(
            "manage.py", "up", "--no-demo", "--port", str(self.port), env=self.env, name="portal"
        )
        process.wait_for("Ctrl-C stops it.", 120)
        return process

    def manage(self, *arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment(self.env),
            capture_output=True,
            text=True,
            check=True,
            timeout=180,
        ).stdout

    def query(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self.data / "evalportal.sqlite3", timeout=10)) as connection:
            return connection.execute(sql).fetchall()

    def passed(self, items: float) -> bool:
        """Whether more items than that are done."""
        [(count,)] = self.query("SELECT count(*) FROM runs_trial WHERE state = 'done'")
        return bool(count > items)


def test_a_killed_portal_loses_nothing_and_asks_nothing_twice(tmp_path: Path, stub: StubEndpoint) -> None:
    stub.set(latency_ms=40)
    portal = Portal(tmp_path)
    portal.manage("migrate", "-v", "0")
    portal.manage("shell", "-c", LAUNCH.format(url=stub.base_url, items=ITEMS, concurrency=CONCURRENCY))
    answered: dict[int, int] = {}
    for share in KILLS:
        process = portal.start()
        wait_until(partial(portal.passed, ITEMS * share), f"{share:.0%} of the items", 60)
        process.kill()
        answered |= dict(portal.query("SELECT id, attempt_count FROM runs_trial WHERE state = 'done'"))
    process = portal.start()
    wait_until(lambda: portal.query("SELECT status FROM runs_run") == [("completed",)], "the run's end", 90)
    process.stop()
    states = portal.query("SELECT id, state, attempt_count FROM runs_trial")
    assert Counter(state for _, state, _ in states) == {"done": ITEMS}
    assert portal.query("SELECT count(*), count(DISTINCT trial_id) FROM runs_score") == [(ITEMS, ITEMS)]
    assert portal.manage("shell", "-c", CHECK).strip().endswith("{}")
    asked = {trial: attempts for trial, _, attempts in states}
    assert all(asked[trial] == attempts for trial, attempts in answered.items()), "answered, yet asked again"
    # Each kill can cost what was in flight, or answered within the last record's 100 ms, no more.
    lost = portal.query("SELECT count(*) FROM runs_attempt WHERE outcome = 'lost'")[0][0]
    assert stub.stats.total - ITEMS <= lost
    assert lost <= len(KILLS) * CONCURRENCY * 40
    [(attempts,)] = portal.query("SELECT count(*) FROM runs_attempt")
    assert attempts == ITEMS + lost >= stub.stats.total
