"""Launch advice: the smallest difference against a baseline, from what earlier runs say of the spread."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from django.test import Client

from datasets.models import DatasetVersion
from registry.models import RegisteredModel
from runs.engine import host
from runs.engine.host import run_to_end
from runs.models import Run
from runs.services import Launch, launch
from tests.runs.scripted_judge import ScriptedJudge
from tests.stub_endpoint import StubEndpoint
from workspaces.access import system_access
from workspaces.models import User, Workspace

URL = "/w/alpha/compare/advice/"
pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def engine(transactional_db: None) -> Iterator[None]:
    yield
    host.stop_all()


@pytest.fixture
def client(client_of: Callable[[User], Client], editor: User) -> Client:
    return client_of(editor)


@pytest.fixture
def version(dataset: Callable[..., DatasetVersion]) -> DatasetVersion:
    rows = [
        {
            "prompt": f"Question {n}",
            "references": ["yes"],
            "responses": {"a": "yes" if n % 4 else "no", "b": "yes" if n % 3 else "no"},
        }
        for n in range(40)
    ]
    return dataset(rows, response_models=["a", "b"], upload_type="query_response")


def scored(alpha: Workspace, version: DatasetVersion, **wish: Any) -> Run:
    known: dict[str, Any] = {"scorers": [{"key": "exact_match"}]}
    evaluation = launch(system_access(alpha), Launch(dataset_version_id=version.pk, **(known | wish)))
    run = evaluation.runs.get()
    run_to_end(run.pk)
    return run


def recorded(alpha: Workspace, version: DatasetVersion, name: str) -> Run:
    return scored(alpha, version, responses="recorded", recorded_names=[name])


def test_without_a_run_the_assumption_is_said(client: Client, version: DatasetVersion) -> None:
    advice = client.post(URL, {"dataset_version": version.pk}).context["advice"]
    assert advice.baseline is None and advice.items == 40
    assert "a quarter of the verdicts" in advice.now.basis and 0 < advice.now.difference < 0.3
    assert advice.twice_items.n == 80 and advice.twice_epochs is None
    assert "Choose a dataset" in client.post(URL, {}).content.decode()


def test_it_reads_the_spread_of_earlier_runs(
    client: Client, version: DatasetVersion, alpha: Workspace
) -> None:
    first = recorded(alpha, version, "a")
    alone = client.post(URL, {"dataset_version": version.pk}).context["advice"]
    assert alone.baseline == first and "75% right" in alone.now.basis
    second = recorded(alpha, version, "b")
    answer = client.post(URL, {"dataset_version": version.pk, "baseline": first.pk, "limit": "20"})
    advice, html = answer.context["advice"], answer.content.decode()
    assert advice.baseline == first and advice.items == 20 and advice.now.basis == "40 earlier pairs"
    assert advice.twice_items.difference < advice.now.difference
    assert f'<option value="{second.pk}">' in html and "pts</strong>" in html and "80% power" in html


def test_epochs_of_the_baseline_tell_what_more_of_them_buy(
    client: Client,
    alpha: Workspace,
    dataset: Callable[..., DatasetVersion],
    model: Callable[..., RegisteredModel],
    stub: StubEndpoint,
) -> None:
    turn = count()
    stub.set(script=ScriptedJudge(answer=lambda number, _: f"ANSWER: {2 * number if next(turn) % 3 else 1}"))
    version = dataset(20)
    scored(alpha, version, model_ids=[model().pk], epochs=3, scorers=[{"key": "numeric"}])
    advice = client.post(URL, {"dataset_version": version.pk, "epochs": "2"}).context["advice"]
    assert advice.epochs == 2 and "asked 3 times" in advice.now.basis and not advice.note
    assert advice.twice_epochs.difference < advice.now.difference


def test_variants_of_the_baseline_are_no_epochs(
    client: Client,
    alpha: Workspace,
    dataset: Callable[..., DatasetVersion],
    model: Callable[..., RegisteredModel],
    stub: StubEndpoint,
) -> None:
    stub.set(script=ScriptedJudge(answer=lambda number, body: f"ANSWER: {2 * number if number % 4 else 1}"))
    version = dataset(20)
    wish: dict[str, Any] = {"model_ids": [model().pk], "scorers": [{"key": "numeric"}]}
    plain = scored(alpha, version, **wish)
    alone = client.post(URL, {"dataset_version": version.pk}).context["advice"]
    varied = {"key": "templates", "options": {"templates": ["So: {{ input }}", "Now: {{ input }}"]}}
    run = scored(alpha, version, variations=[varied], **wish)
    Run.objects.filter(pk=plain.pk).delete()
    advice = client.post(URL, {"dataset_version": version.pk, "baseline": run.pk}).context["advice"]
    assert (advice.now.difference, advice.now.basis) == (alone.now.difference, alone.now.basis)
    assert advice.twice_epochs is None and "variants are left out" in advice.note


def test_only_editors_are_advised(
    version: DatasetVersion, client_of: Callable[[User], Client], viewer: User, outsider: User
) -> None:
    assert client_of(viewer).post(URL, {"dataset_version": version.pk}).status_code == 403
    assert client_of(outsider).post(URL, {"dataset_version": version.pk}).status_code == 404
