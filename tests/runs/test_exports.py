"""Taking a run away: nothing missing, nothing secret, nothing executable, nothing in memory at once."""

import csv
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from datasets.models import DatasetVersion
from registry.models import Provider, RegisteredModel
from runs.engine.host import run_to_end
from runs.exports import EXPORTS, Export
from runs.exports.rows import CHUNK
from runs.models import Attempt, Run, Score, Trial, TrialState
from workspaces.models import User, Workspace

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
SECRET = "sk-never-in-a-file-0123456789"


def whole(run: Run, kind: str) -> bytes:
    export: Export = EXPORTS[kind]
    return b"".join(export.stream(run))


def finished(run: Run) -> Run:
    run_to_end(run.pk)
    run.refresh_from_db()
    return run


@pytest.fixture
def run(launched: Launched, model: Callable[..., RegisteredModel], provider: Callable[..., Provider]) -> Run:
    """Ten items, two epochs, two scorers, one item that always fails; its provider has a key."""
    items: list[dict[str, Any]] = [
        {"prompt": f"{n} [[answer:{n}]]", "references": [str(n)], "section": "odd" if n % 2 else "even",
         "external_id": f"n{n}", "metadata": {"n": n, "µ": "ä"}, "choices": ["a", "b"]}
        for n in range(1, 10)
    ]  # fmt: skip
    items.append({"prompt": "=1+1 [[fail:400]]", "references": ["1"], "external_id": "=cmd|'/c calc'!A1"})
    target = model(provider=provider(api_key=SECRET, headers=json.dumps({"X-Extra": SECRET})))
    return finished(
        launched(
            items,
            target,
            epochs=2,
            label="first",
            scorers=[{"key": "numeric"}, {"key": "includes", "name": "has it"}],
        )
    )


def test_jsonl_holds_everything(run: Run) -> None:
    rows = [json.loads(line) for line in whole(run, "jsonl").decode().splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, 21))
    assert [(row["item"]["id"], row["epoch"]) for row in rows[:3]] == [("n1", 1), ("n1", 2), ("n2", 1)]
    trial = Trial.objects.get(run=run, seq=1)
    first = rows[0]
    assert first["response"] == trial.response and first["passed"] is True and first["answer"] == "1"
    assert [score["scorer"] for score in first["scores"]] == ["numeric", "has it"]
    assert first["scores"][0]["explanation"]
    assert first["usage"] == {"input_tokens": trial.input_tokens, "output_tokens": trial.output_tokens}
    assert first["latency_ms"] == trial.latency_ms and first["attempts"] == 1
    assert first["item"]["metadata"] == {"n": 1, "µ": "ä"} and first["item"]["references"] == ["1"]
    failed = rows[-1]
    assert failed["state"] == "errored" and failed["error"] and failed["scores"] == []
    assert failed["item"]["prompt"] == "=1+1 [[fail:400]]"


def test_csv_has_a_row_per_trial_and_runs_nothing(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(whole(run, "csv").decode(), newline="")))
    assert len(rows) == 20
    assert rows[0]["numeric: passed"] == "true" and rows[0]["has it: value"] == "1.0"
    assert rows[0]["references"] == "1" and json.loads(rows[0]["choices"]) == ["a", "b"]
    assert rows[-1]["item_id"] == "'=cmd|'/c calc'!A1" and rows[-1]["prompt"].startswith("'=1+1")
    assert rows[-1]["passed"] == "" and rows[-1]["numeric: value"] == ""
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "@"))]


def test_zip_holds_configuration_summary_results_and_log(run: Run) -> None:
    with zipfile.ZipFile(io.BytesIO(whole(run, "zip"))) as archive:
        assert archive.testzip() is None
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    assert set(files) == {
        "run.json", "summary.json", "results.jsonl", "results.csv", "scores.jsonl", "log.txt",
        "failed_attempts.csv",
    }  # fmt: skip
    assert files["results.jsonl"] == whole(run, "jsonl") and files["results.csv"] == whole(run, "csv")
    document = json.loads(files["run.json"])
    assert document["config"] == run.config and document["label"] == "first"
    summary = json.loads(files["summary.json"])
    assert summary["metrics"]["accuracy"].keys() >= {"value", "low", "high", "n", "correct"}
    assert summary["metrics"]["accuracy"]["n"] == 18 and summary["errored"] == 2
    assert {row["section"]: row["n"] for row in summary["sections"]} == {"odd": 10, "even": 8}
    assert len(files["scores.jsonl"].splitlines()) == Score.objects.filter(run=run).count() == 36
    assert b"launched by system" in files["log.txt"]


@pytest.mark.parametrize("kind", list(EXPORTS))
def test_no_secret_is_in_a_file(run: Run, kind: str) -> None:
    data = whole(run, kind)
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = b"".join(archive.read(name) for name in archive.namelist())
    assert SECRET.encode() not in data and b"api_key" not in data


def many(run: Run, count: int) -> None:
    """A run made large: recorded trials without an engine."""
    Trial.objects.filter(run=run).update(
        state=TrialState.DONE, response="x" * 2_000, answer="18", passed=True
    )
    Score.objects.bulk_create(
        Score(run=run, trial_id=pk, scorer="numeric", value=1.0, passed=True, explanation="y" * 100)
        for pk in Trial.objects.filter(run=run).values_list("pk", flat=True)
    )
    Attempt.objects.bulk_create(
        Attempt(
            run=run, trial_id=pk, number=1, fence=1, outcome="timeout", error="z" * 1_000, started_at=now()
        )
        for pk in Trial.objects.filter(run=run).values_list("pk", flat=True)
    )
    assert Trial.objects.filter(run=run).count() == count


@pytest.mark.parametrize("kind", list(EXPORTS))
def test_memory_and_queries_are_those_of_a_chunk(launched: Launched, kind: str) -> None:
    run = launched(20, epochs=100)
    many(run, 2000)
    size = 0
    with CaptureQueriesContext(
        connection,
    ) as queries:
        tracemalloc.start()
        for piece in EXPORTS[kind].stream(run):
            size += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    passes = 4 if kind == "zip" else 1
    assert len(queries) <= passes * 3 * (2000 // CHUNK + 1) + 12
    assert size > {"zip": 40_000, "attempts": 2_000_000, "variations": 500}.get(kind, 4_000_000)
    assert peak < 12_000_000


def test_pages_download(run: Run, viewer: User, client_of: Callable[[User], Client]) -> None:
    for kind, media in (("jsonl", "application/jsonl"), ("csv", "text/csv"), ("zip", "application/zip")):
        response = client_of(viewer).get(reverse("runs:export", args=["alpha", run.pk, kind]))
        assert response.status_code == 200 and response["Content-Type"].startswith(media)
        assert response["Content-Disposition"] == f'attachment; filename="run-{run.pk}.{kind}"'
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response.streaming and len(b"".join(response.streaming_content)) > 100  # type: ignore[attr-defined]


async def test_asgi_streams_piece_by_piece(run: Run, viewer: User) -> None:
    client = AsyncClient()
    await sync_to_async(client.force_login)(viewer, "allauth.account.auth_backends.AuthenticationBackend")
    response = await client.get(f"/w/alpha/runs/{run.pk}/export/jsonl/")
    assert response.is_async
    assert len(b"".join([piece async for piece in response]).splitlines()) == 20
    await sync_to_async(connections.close_all)()  # the test client leaves the thread's connection open


def test_strangers_get_nothing(
    run: Run, outsider: User, beta: Workspace, client_of: Callable[[User], Client], client: Client
) -> None:
    for kind in EXPORTS:
        address = reverse("runs:export", args=["alpha", run.pk, kind])
        assert client.get(address).status_code == 302
        assert client_of(outsider).get(address).status_code == 404
        assert client_of(outsider).get(reverse("runs:export", args=["beta", run.pk, kind])).status_code == 404


def test_unknown_kind_is_not_found(run: Run, viewer: User, client_of: Callable[[User], Client]) -> None:
    assert client_of(viewer).get(reverse("runs:export", args=["alpha", run.pk, "xlsx"])).status_code == 404


def test_run_without_finished_trials_exports(launched: Launched) -> None:
    run = launched(3)
    assert len(whole(run, "jsonl").splitlines()) == 3
    zipfile.ZipFile(io.BytesIO(whole(run, "zip"))).testzip()


def test_recorded_run_exports(launched: Launched, dataset: Callable[..., DatasetVersion]) -> None:
    items = [{"prompt": "p", "references": ["1"], "responses": {"m": "A: 1"}}]
    version = dataset(items, response_models=["m"])
    run = finished(launched(version=version, model_ids=[], recorded_names=["m"], responses="recorded"))
    (row,) = [json.loads(line) for line in whole(run, "jsonl").splitlines()]
    assert row["response"] == "A: 1" and row["latency_ms"] is None and row["attempts"] == 0
