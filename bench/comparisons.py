"""Comparisons and leaderboards of large runs: `python -m bench.comparisons --items 100000`.

The rows are made by statements, not executed. Cold: nothing of the runs is kept yet, in this process
or by the database's own connection; warm: the median of five.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from bench.engine import embedded
from tests.services import Postgres

EMAIL = "bench@example.com"
SECTIONS = 8
ANSWER_CHARACTERS = 400


def flags(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.comparisons", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--ranked", type=int, default=20, help="systems on the leaderboard")
    parser.add_argument("--databases", default="sqlite,postgres", help="comma list")
    return parser.parse_args(arguments)


def prepare(items: int, runs: int) -> list[int]:
    """A workspace with scored runs over one version, each an evaluation of one benchmark; ids of the runs."""
    from django.core.management import call_command
    from django.utils import timezone

    from datasets.models import Dataset, DatasetVersion, Item
    from workspaces.models import Membership, Role, User, Workspace

    call_command("migrate", verbosity=0)
    workspace = Workspace.objects.create(slug="bench", name="Bench")
    user = User.objects.create_user(EMAIL, "unused")
    Membership.objects.create(workspace=workspace, user=user, role=Role.EDITOR)
    dataset = Dataset.objects.create(workspace=workspace, name="Made")
    sections = [{"name": f"part-{n}", "items": items // SECTIONS} for n in range(SECTIONS)]
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=1,
        item_count=items,
        sections=sections,
        content_hash="b" * 64,
        ready_at=timezone.now(),
    )
    made = (
        Item(
            version=version, position=at, external_id=f"q{at}", section=f"part-{at % SECTIONS}",
            prompt=f"Question {at}: what is it?", references=[str(at)],
        )
        for at in range(1, items + 1)
    )  # fmt: skip
    Item.objects.bulk_create(made, batch_size=2000)
    ids = [run_of(workspace, version, number) for number in range(runs)]
    rank(workspace, version, ids)
    return ids


def rank(workspace: Any, version: Any, ids: Sequence[int]) -> None:
    """A benchmark over the version, on which every run is an evaluation of its own model."""
    from benchmarks.models import BenchmarkEvaluation
    from benchmarks.services import benchmark_create
    from benchmarks.services.evaluating import frozen_part
    from benchmarks.wish import BenchmarkWish, PartWish
    from runs.models import Run
    from workspaces.access import system_access

    part = PartWish(version_id=version.pk, scorers=[{"key": "numeric", "name": "numeric", "options": {}}])
    benchmark = benchmark_create(system_access(workspace), BenchmarkWish(name="Made", parts=[part]))
    held = benchmark.parts.select_related("version__dataset").get()
    for run in Run.objects.filter(pk__in=ids):
        BenchmarkEvaluation.objects.create(
            benchmark=benchmark, alias=run.alias, evaluation=run.evaluation,
            frozen={"parts": [frozen_part(held, None, run.pk)], "recorded": False},
        )  # fmt: skip


def run_of(workspace: Any, version: Any, number: int) -> int:
    """Right in 30 to 90 of a hundred items, by arithmetic on the item's position."""
    from django.db import connection
    from django.utils import timezone

    from runs.models import Evaluation, Run

    run = Run.objects.create(
        workspace=workspace, evaluation=Evaluation.objects.create(workspace=workspace, name="Made"),
        dataset_version=version, alias=f"model-{number}", status="completed", total=version.item_count,
        done=version.item_count, finished_at=timezone.now(),
        config={"scorers": [{"key": "numeric", "name": "numeric", "options": {}}], "responses": "fresh",
                "dataset": {"name": "Made", "version": 1}, "model": {"name": f"model-{number}"}},
    )  # fmt: skip
    passed = f"(item.position * {7 + 2 * number} + item.position / 100) %% 100 < {30 + 15 * number % 61}"
    statements = (
        f"""INSERT INTO runs_trial (run_id, item_id, epoch, seq, section, state, passed, answer, response,
                                    latency_ms)
            SELECT %s, item.id, 1, item.position, item.section, 'done', {passed},
                   'answer ' || ((item.position * {number + 3}) %% 11), %s,
                   200 + (item.position * 7919) %% 3001
            FROM datasets_item item WHERE item.version_id = %s ORDER BY item.position""",
        """INSERT INTO runs_score (run_id, trial_id, scorer, value, passed, answer)
           SELECT run_id, id, 'numeric', CASE WHEN passed THEN 1 ELSE 0 END, passed, answer
           FROM runs_trial WHERE run_id = %s ORDER BY id""",
        """INSERT INTO runs_tally (run_id, scorer, section, scored, passed, value_sum, value_sum_squares)
           SELECT run_id, 'numeric', section, COUNT(*), SUM(CASE WHEN passed THEN 1 ELSE 0 END),
                  SUM(CASE WHEN passed THEN 1 ELSE 0 END), SUM(CASE WHEN passed THEN 1 ELSE 0 END)
           FROM runs_trial WHERE run_id = %s GROUP BY run_id, section""",
    )  # fmt: skip
    values: tuple[list[Any], ...] = (
        [run.pk, "words " * (ANSWER_CHARACTERS // 6), version.pk],
        [run.pk],
        [run.pk],
    )
    with connection.cursor() as cursor:
        for statement, chosen in zip(statements, values, strict=True):
            cursor.execute(statement, chosen)
    return int(run.pk)


def paths(ids: Sequence[int]) -> Mapping[str, str]:
    page = f"/w/bench/compare/?runs={','.join(map(str, ids))}"
    board = "/w/bench/benchmarks/1/leaderboard/"
    return {
        "page": page,
        "A right, B wrong": f"{page}&a=right&b=wrong",
        "A right, B and C wrong, one section": f"{page}&a=right&b=wrong&c=wrong&section=part-3",
        "answers differ": f"{page}&differ=answer",
        "runs to choose, by name": "/w/bench/compare/?q=model",
        "dashboard": "/w/bench/",
        "leaderboard": board,
        "leaderboard, one section": f"{board}?section=part-3",
        "evaluations of the benchmark": "/w/bench/benchmarks/1/evaluations/",
        "API": f"/api/v1/comparisons?runs={','.join(map(str, ids))}&workspace=bench",
    }


def asked(client: Any, path: str, part: bool) -> float:
    """Milliseconds to the whole answer; as a part of the page where a filter asks for it."""
    headers = {"hx-request": "true", "hx-target": "pair-items"} if part else {}
    began = time.perf_counter()
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return (time.perf_counter() - began) * 1000


def measured(database: str, items: int, runs: int, ranked: int) -> list[dict[str, Any]]:
    """Sets Django up, so it is called once per process."""
    import django

    django.setup()
    from django.conf import settings
    from django.test import Client

    from analysis.kept import kept
    from workspaces.models import User

    ids = prepare(items, max(runs, ranked))[:runs]
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(email=EMAIL), settings.AUTHENTICATION_BACKENDS[0])
    client.get("/w/bench/runs/")  # templates and connections are not what is measured
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = []
    for name, path in paths(ids).items():
        part = "right" in name or "differ" in name
        if not part:
            kept.forget()
        cold = asked(client, path, part)
        warm = statistics.median(asked(client, path, part) for _ in range(5))
        lines.append({"case": "comparison", "page": name, "database": database, "items": items, "runs": runs,
                      "ranked": ranked,                      "cold_ms": cold, "warm_ms": warm})  # fmt: skip
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{database}: {kept.bytes / 2**20:.0f} MB of arrays kept, process grew by {grown:.0f} MB", flush=True
    )
    return lines


def of_database(database: str, items: int, runs: int, ranked: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="evalportal-bench-") as folder:
        embedded(folder)
        if database != "postgres":
            return measured(database, items, runs, ranked)
        with Postgres() as server:
            os.environ["DATABASE_URL"] = server.new_database()
            return measured(database, items, runs, ranked)


def main(arguments: Sequence[str] | None = None) -> None:
    options = flags(arguments)
    for database in options.databases.split(","):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            lines = pool.submit(of_database, database, options.items, options.runs, options.ranked).result()
        for line in lines:
            print(
                f"  {line['page']:<38} cold {line['cold_ms']:>7.0f} ms  warm {line['warm_ms']:>7.0f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
