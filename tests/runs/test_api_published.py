"""A script uploads published answers, launches over HTTP, and reads the publisher's own counts."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from datasets.uploading import upload_run
from registry.models import Provider, RegisteredModel
from runs.engine.host import run_to_end
from tests.conftest import SHARED
from tests.runs.test_api import api_of
from workspaces.models import User, Workspace

pytestmark = [pytest.mark.shared, pytest.mark.usefixtures("engine")]

SOLUTIONS = SHARED / "data" / "gsm8k" / "example_model_solutions.jsonl"
CORRECT = {"6b_finetuning": 286, "6b_verification": 515, "175b_finetuning": 458, "175b_verification": 742}
MAPPING = {
    "fields": [
        {"path": "question", "use": "prompt"},
        {"path": "ground_truth", "use": "reference"},
        *({"path": f"{system}.solution", "use": "response", "model": system} for system in CORRECT),
    ]
}


@pytest.fixture
def api(editor: User, alpha: Workspace) -> Client:
    return api_of(editor, alpha)


@pytest.fixture
def version_id(api: Client) -> int:
    file = SimpleUploadedFile("solutions.jsonl", SOLUTIONS.read_bytes())
    answer = api.post("/api/v1/datasets", {"file": file, "name": "GSM8K", "mapping": json.dumps(MAPPING)})
    assert answer.status_code == 202, answer.content
    upload_run(answer.json()["id"])
    return int(api.get(answer.headers["Location"]).json()["version"])


@pytest.fixture
def replay() -> Any:
    """The published answers behind HTTP, by question."""
    tool = Path(SHARED / "tools" / "stub_llm.py")
    words = [sys.executable, str(tool), "--port", "0", "--replay", str(SOLUTIONS)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[2]
        server.terminate()


def counts(api: Client, wish: dict[str, Any]) -> dict[str, int]:
    answer = api.post(
        "/api/v1/evaluations", {**wish, "scorers": [{"key": "numeric"}]}, content_type="application/json"
    )
    assert answer.status_code == 202, answer.content
    found = {}
    for run_id in answer.json()["runs"]:
        run_to_end(run_id)
        run = api.get(f"/api/v1/runs/{run_id}").json()
        assert (run["status"], run["errored"], run["metrics"]["accuracy"]["n"]) == ("completed", 0, 1319)
        found[run["model"]["name"]] = run["metrics"]["accuracy"]["correct"]
    return found


def test_recorded_responses(api: Client, version_id: int) -> None:
    wish = {"dataset_version_id": version_id, "recorded_names": list(CORRECT), "responses": "recorded"}
    assert counts(api, wish) == CORRECT


def test_calls_to_an_endpoint(
    api: Client,
    version_id: int,
    replay: str,
    provider: Callable[..., Provider],
    model: Callable[..., RegisteredModel],
) -> None:
    endpoint = provider(base_url=replay)
    ids = [model(provider=endpoint, name=name).pk for name in CORRECT]
    assert counts(api, {"dataset_version_id": version_id, "model_ids": ids}) == CORRECT
