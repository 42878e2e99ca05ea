"""The published GSM8K counts through the portal's own pages: upload, map, launch, board."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from datasets.models import DatasetVersion, Upload
from datasets.uploading import upload_run
from registry.models import Provider, RegisteredModel
from runs.engine.host import run_to_end
from runs.models import Run
from tests.conftest import SHARED
from tests.datasets.test_upload import UPLOAD, form_of
from tests.stub_endpoint import StubEndpoint
from tests.stub_recording import read_recording
from workspaces.models import User

pytestmark = [pytest.mark.shared, pytest.mark.usefixtures("engine")]

SOLUTIONS: Path = SHARED / "data" / "gsm8k" / "example_model_solutions.jsonl"
# Correct of 1,319 with the Wilson interval as the static pages show it.
PUBLISHED = {
    "6b_finetuning": "21.7% [19.5, 24.0]",
    "6b_verification": "39.0% [36.4, 41.7]",
    "175b_finetuning": "34.7% [32.2, 37.3]",
    "175b_verification": "56.3% [53.6, 58.9]",
}


@pytest.fixture
def client(client_of: Callable[[User], Client], editor: User) -> Client:
    return client_of(editor)


@pytest.fixture
def version(client: Client) -> DatasetVersion:
    """Uploaded and imported as the mapping page guesses it; of this size a worker imports."""
    file = SimpleUploadedFile(SOLUTIONS.name, SOLUTIONS.read_bytes())
    mapping = client.post(UPLOAD, {"file": file, "kind": "query_response"}).headers["Location"]
    client.post(mapping, form_of(client.get(mapping), action="import", dataset_name="GSM8K test"))
    upload_run(Upload.objects.get().pk)
    return DatasetVersion.objects.get()


def launched_and_shown(client: Client, version: DatasetVersion, **wish: object) -> dict[str, str]:
    """What the board says of each run in the end."""
    form = {"dataset_version": version.pk, "scorers": ["numeric"], "numeric.last_number": "on",
            "template": "{{ input }}", "epochs": "1", "max_failures": "5"}  # fmt: skip
    answer = client.post("/w/alpha/runs/launch/", form | wish)
    assert answer.status_code == 302, answer.context["launch_form"].problems
    for run in Run.objects.all():
        run_to_end(run.pk)
    board = client.get("/w/alpha/runs/").content.decode()
    return {run.alias: score_on(board, run.pk) for run in Run.objects.all()}


def score_on(board: str, run_id: int) -> str:
    found = re.search(rf'id="run-{run_id}-score">\s*<b>(.*?)</b>\s*<span class="ci-text">(\[.*?\])', board)
    assert found, f"run {run_id} shows no score"
    return " ".join(found.groups())


def test_recorded_responses(client: Client, version: DatasetVersion) -> None:
    shown = launched_and_shown(client, version, responses="recorded", recorded=list(PUBLISHED), several="1")
    assert shown == PUBLISHED


def test_the_same_answers_over_http(
    client: Client,
    version: DatasetVersion,
    stub: StubEndpoint,
    provider: Callable[..., Provider],
    model: Callable[..., RegisteredModel],
) -> None:
    stub.set(replay=read_recording(SOLUTIONS), models=list(PUBLISHED))
    door = provider(concurrency=64)
    targets = [model(provider=door, name=name).pk for name in PUBLISHED]
    assert launched_and_shown(client, version, responses="fresh", models=targets) == PUBLISHED
    assert stub.stats.total == 4 * 1319
