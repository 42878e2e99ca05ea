"""Judges on the launch sheet and on the run's page."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from datasets.models import DatasetVersion
from judges.models import JudgeVersion
from registry.models import RegisteredModel
from runs.models import Run
from workspaces.models import User

LAUNCH = "/w/alpha/runs/launch/"
HTMX = {"HX-Request": "true"}
Judges = Callable[..., JudgeVersion]


@pytest.fixture
def client(client_of: Callable[[User], Client], editor: User) -> Client:
    return client_of(editor)


@pytest.fixture
def wish(dataset: Callable[..., DatasetVersion], model: Callable[..., RegisteredModel]) -> dict[str, Any]:
    return {"dataset_version": dataset(10).pk, "models": [model().pk], "responses": "fresh"}


@pytest.mark.django_db
def test_several_judges_are_launched_without_a_scorer(
    client: Client, wish: dict[str, Any], judge: Judges
) -> None:
    first, second = judge(), judge("score")
    sheet = client.get(LAUNCH).content.decode()
    assert sheet.count('name="judges"') == 2 and "classify judge" in sheet
    assert client.post(LAUNCH, wish | {"judges": [first.pk, second.pk]}).status_code == 302
    run = Run.objects.get(judged=None)
    assert run.scorer_names == [first.judge.name, second.judge.name] and run.judgings.count() == 2
    again = client.get(f"{LAUNCH}?from={run.pk}").context["launch_form"]
    assert again.chosen_judges == {str(first.pk), str(second.pk)}


@pytest.mark.django_db
def test_the_forecast_counts_the_calls_of_judges(client: Client, wish: dict[str, Any], judge: Judges) -> None:
    wish["judges"] = [judge().pk, judge("compare").pk]
    wish["opponent"] = "run:1"
    html = client.post(f"{LAUNCH}plan/", wish, headers=HTMX).content.decode()
    assert "<dt>Requests</dt><dd>10</dd>" in html and "30 calls of judge models" in html
    assert "Choose a run of this workspace" in html


@pytest.mark.django_db
def test_a_comparison_has_its_opponent(client: Client, wish: dict[str, Any], judge: Judges) -> None:
    compare = judge("compare")
    client.post(LAUNCH, wish | {"scorers": ["numeric"]})
    other = Run.objects.get()
    wish["judges"] = [compare.pk]
    assert f'value="run:{other.pk}"' in client.get(LAUNCH).content.decode()
    alone = client.post(LAUNCH, wish)
    assert alone.status_code == 422 and "needs a second response" in alone.content.decode()
    assert client.post(LAUNCH, wish | {"opponent": "run:99"}).context["launch_form"].errors["opponent"]
    assert client.post(LAUNCH, wish | {"opponent": f"run:{other.pk}"}).status_code == 302
    assert Run.objects.get(scorer="compare judge").opponent == other
    run = Run.objects.filter(judged=None).latest("pk")
    again = client.get(f"{LAUNCH}?from={run.pk}").context["launch_form"]
    assert again["opponent"].value() == f"run:{other.pk}"


@pytest.mark.django_db
def test_judges_of_another_workspace_are_not_offered(
    wish: dict[str, Any], judge: Judges, client_of: Callable[[User], Client], outsider: User
) -> None:
    assert judge().judge.name not in client_of(outsider).get("/w/beta/runs/launch/").content.decode()
