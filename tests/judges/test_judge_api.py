"""Judges in the API and in the administration."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from datasets.models import DatasetVersion
from judges.models import ControlCheck, Judge
from judges.tasks import control_check_run
from registry.models import RegisteredModel
from tests.judges.conftest import Made
from workspaces.models import User

pytestmark = pytest.mark.django_db
Call = Callable[..., Any]


@pytest.fixture
def api(editor: User, client_of: Callable[[User], Client]) -> Call:
    """`api("post", "/3/versions", {…})` as the editor of alpha; gives the response."""
    client = client_of(editor)

    def call(method: str, path: str = "", body: Any = None) -> Any:
        extra = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        return getattr(client, method)(f"/api/v1/judges{path}", headers={"X-Workspace": "alpha"}, **extra)

    return call


def test_lists_rubrics(api: Call) -> None:
    rows = api("get", "/rubrics").json()
    assert len(rows) == 8 and rows[0]["key"] == "correctness" and rows[0]["settings"]["labels"]


def test_creates_from_a_rubric_and_revises(api: Call, judge_model: RegisteredModel) -> None:
    made = api("post", "", {"rubric": "helpfulness", "model_ids": [judge_model.pk], "threshold": 3})
    assert made.status_code == 201 and made["Location"].endswith(f"/judges/{made.json()['id']}")
    version = made.json()["version"]
    assert (version["kind"], version["threshold"], version["maximum"]) == ("score", 3.0, 5.0)
    assert version["models"] == [
        {"model": judge_model.pk, "name": "judge-model", "alias": "Judge", "position": 1,
         "provider": judge_model.provider.name},  # type: ignore[union-attr]
    ]  # fmt: skip
    path = f"/{made.json()['id']}"
    assert api("post", f"{path}/versions", {"name": "Help"}).status_code == 200
    again = api("post", f"{path}/versions", {"repeats": 3, "note": "Thrice"})
    assert again.status_code == 201 and again.json()["latest_number"] == 2 and again.json()["name"] == "Help"
    assert [row["number"] for row in api("get", f"{path}/versions").json()] == [2, 1]


def test_problems_are_named_by_field(api: Call, judge_model: RegisteredModel) -> None:
    answer = api("post", "", {"rubric": "correctness", "user_template": "{{ prompt }}", "model_ids": []})
    assert answer.status_code == 400
    errors = {row["field"]: row["message"] for row in answer.json()["errors"]}
    assert "did you mean “input”?" in errors["user_template"] and "model_ids" in errors
    answer = api("post", "", {"rubric": "corectness"})
    assert "did you mean correctness" in answer.json()["errors"][0]["message"]
    answer = api("post", "", {"labels": ["x"], "repeats": 0, "parameters": 3})
    assert {row["field"].partition(".")[0] for row in answer.json()["errors"]} == {
        "labels",
        "repeats",
        "parameters",
    }


def test_lists_and_archives(api: Call, made: Made, django_assert_max_num_queries: Any) -> None:
    first, second = made(name="One").judge, made(name="Two").judge
    assert api("post", f"/{first.pk}/archive").json()["archived"] is True
    with django_assert_max_num_queries(6):
        rows = api("get").json()["results"]
    assert [row["name"] for row in rows] == ["Two", "One"]
    assert [row["id"] for row in api("get", "?archived=false").json()["results"]] == [second.pk]
    assert api("post", f"/{first.pk}/restore").json()["archived"] is False
    assert api("get", f"/{first.pk}").json()["version"]["number"] == 1


def test_previews_and_asks(
    api: Call, made: Made, dataset: Callable[..., DatasetVersion], says: Callable[..., None]
) -> None:
    version, path = dataset(5), f"/{made().judge_id}/preview"
    says(label="Correct")
    wanted = {"dataset_version": version.pk, "source": "reference"}
    shown = api("post", path, wanted).json()
    assert len(shown["items"]) == 3 and shown["items"][0]["verdict"] is None
    assert shown["items"][0]["chats"][0]["messages"][1]["role"] == "user"
    asked = api("post", path, wanted | {"ask": True}).json()
    assert [row["verdict"]["answer"] for row in asked["items"]] == ["Correct"] * 3
    says("No idea.")
    asked = api("post", path, wanted | {"ask": True}).json()
    assert (
        asked["items"][0]["verdict"]["value"] is None
        and "no verdict" in asked["items"][0]["verdict"]["unscored"]
    )
    absent = api("post", path, wanted | {"source": "recorded:nobody"}).json()["items"]
    assert [row["response"] for row in absent] == [None] * 3
    assert api("post", path, {"dataset_version": 10**6}).status_code == 400


def test_the_control_set(api: Call, made: Made, says: Callable[..., None]) -> None:
    path = f"/{made('score').judge_id}/controls"
    assert api("get", path).json() == []
    begun = api("post", path)
    assert begun.status_code == 202 and begun.json()["going_on"] and begun.json()["rate"] is None
    says(score=1)
    control_check_run(ControlCheck.objects.get().pk)
    rate = api("get", path).json()[0]["rate"]
    assert (rate["value"], rate["low"], rate["n"]) == (0.0, 0.0, 28) and 0.1 < rate["high"] < 0.13


def test_the_administration_shows_and_archives(
    staff: User, client_of: Callable[[User], Client], made: Made, says: Callable[..., None]
) -> None:
    judge, client = made().judge, client_of(staff)
    for name in ("judge", "judgeversion", "controlcheck"):
        assert client.get(reverse(f"admin:judges_{name}_changelist")).status_code == 200
    assert client.get(reverse("admin:judges_judge_change", args=[judge.pk])).status_code == 200
    chosen = {"action": "archive", "_selected_action": [judge.pk]}
    client.post(reverse("admin:judges_judge_changelist"), chosen)
    assert Judge.objects.get().archived_at
