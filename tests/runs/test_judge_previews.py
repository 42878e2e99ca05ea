"""A judge tried on what a run answered: its first responses, the rendered prompt, the call, the verdict."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from judges.models import JudgeVersion
from judges.selectors import materials_of, sampled_of
from runs.engine.host import run_to_end
from runs.models import Run
from tests.judges.test_judge_views import fields
from tests.runs.scripted_judge import ScriptedJudge, verdict
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access
from workspaces.models import User

pytestmark = pytest.mark.usefixtures("engine")
Judges = Callable[..., JudgeVersion]


@pytest.fixture
def run(launched: Callable[..., Run], stub: StubEndpoint) -> Run:
    """The first of five items has no answer."""
    stub.set(
        script=ScriptedJudge(lambda number, time, body: verdict(label="Wrong" if number == 3 else "Correct"))
    )
    rows = [
        {"prompt": f"What is {n} + {n}? [[fail:500*9]]" if n == 1 else f"What is {n} + {n}?"}
        for n in range(1, 6)
    ]
    run = launched(rows, max_failures=1)
    run_to_end(run.pk)
    run.refresh_from_db()
    return run


def test_the_page_asks_about_the_runs_first_answers(
    run: Run, judge: Judges, editor: User, client_of: Callable[[User], Client]
) -> None:
    version, client = judge(user_template="{{ input }} {{ response }}"), client_of(editor)
    page = client.get(f"/w/alpha/runs/{run.pk}/").content.decode()
    assert "Try it on the first responses" in page
    query = {"judge": version.pk, "sample": run.dataset_version_id, "source": f"run:{run.pk}"}
    there = client.get("/w/alpha/judges/try/", query)
    assert there["Location"].startswith(f"/w/alpha/judges/{version.judge_id}/?sample=")
    page = client.get(there["Location"]).content.decode()
    assert f'value="run:{run.pk}" selected' in page and f"run #{run.pk}, {run.alias}, answered" in page
    model = version.judge_models.get().model
    assert model
    sent = fields(
        model, user_template="{{ input }} {{ response }}", sample=run.dataset_version_id,
        source=f"run:{run.pk}", do="ask",
    )  # fmt: skip
    html = client.post(f"/w/alpha/judges/{version.judge_id}/preview/", sent, headers={"HX-Request": "true"})
    shown = html.context["previewed"]
    assert [each.item.position for each in shown] == [2, 3, 4]
    assert [each.material.response for each in shown] == ["ANSWER: 4", "ANSWER: 6", "ANSWER: 8"]
    assert [each.judged.said.answer for each in shown] == ["Correct", "Wrong", "Correct"]
    assert "What is 3 + 3?" in html.content.decode()


def test_the_api_takes_a_run_as_the_source(run: Run, judge: Judges, editor: User, client_of: Any) -> None:
    url = f"/api/v1/judges/{judge(user_template='{{ response }}').judge_id}/preview"
    body = {"dataset_version": run.dataset_version_id, "source": f"run:{run.pk}"}
    headers = {"X-Workspace": "alpha"}
    sent = client_of(editor).post(url, json.dumps(body), content_type="application/json", headers=headers)
    assert [row["response"] for row in sent.json()["items"]] == ["ANSWER: 4", "ANSWER: 6", "ANSWER: 8"]


def test_runs_of_others_have_no_responses(run: Run, alpha_access: Access, beta: Any) -> None:
    held = alpha_access.workspace
    sampled = sampled_of(held, run.dataset_version_id, f"run:{run.pk}")
    assert sampled and sampled.runs == [(f"run:{run.pk}", f"run #{run.pk}, {run.alias}")]
    against = {"other": "typed", "typed": "", "typed_other": "", "compares": False}
    Run.objects.filter(pk=run.pk).update(workspace=beta)
    found = materials_of(sampled, source=f"run:{run.pk}", **against)
    assert [material for _, material in found] == [None] * 3
    elsewhere = sampled_of(held, run.dataset_version_id, f"run:{run.pk}")
    assert elsewhere and not elsewhere.runs and not elsewhere.answered_by
