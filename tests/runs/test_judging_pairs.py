"""A dataset of pairs, launched from its page: response A against response B by a judge that compares."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from datasets.models import DatasetVersion
from judges.models import JudgeVersion
from runs.models import Run
from runs.services import BadJudge, LaunchProblems, add_judge
from tests.runs.scripted_judge import ScriptedJudge, prompt_of, verdict
from tests.runs.test_judging import judged, scores
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access
from workspaces.models import User

pytestmark = pytest.mark.usefixtures("engine")
LAUNCH = "/w/alpha/runs/launch/"


def test_the_two_columns_are_compared(
    client_of: Callable[[User], Client], editor: User, stub: StubEndpoint,
    judge: Callable[..., JudgeVersion], dataset: Callable[..., DatasetVersion],
) -> None:  # fmt: skip
    stub.set(script=ScriptedJudge(lambda number, time, body: verdict(winner="A" if time == 1 else "B")))
    rows: list[dict[str, Any]] = [
        {"prompt": f"What is {n} + {n}?", "metadata": {"pair": ["small", "large"]}}
        | {"responses": {"small": f"left {n}", "large": f"right {n}"}}
        for n in (1, 2)
    ]
    version, client = dataset(rows, response_models=["small", "large"]), client_of(editor)
    page = client.get(LAUNCH, {"dataset_version": version.pk})
    assert "Create a judge that compares" in page.content.decode()
    compare = judge("compare")
    form = client.get(LAUNCH, {"dataset_version": version.pk}).context["launch_form"]
    assert not form.chosen_slots and not form.pairs_lack_judge
    assert form["recorded"].value() == ["small"]
    assert form["opponent"].value() == "recorded:large"
    assert form.chosen_judges == {str(compare.pk)}
    wish = {name: form[name].value() for name in ("responses", "recorded", "opponent", "dataset_version")}
    answer = client.post(LAUNCH, wish | {"judges": [compare.pk], "epochs": 1, "max_failures": 1})
    assert answer.status_code == 302, answer.context["launch_form"].errors
    run, opponent = Run.objects.filter(judged=None).order_by("pk")
    judged(opponent)
    found = scores(judged(run), "compare judge")
    assert [found[number].answer for number in (1, 2)] == ["A", "A"]
    asked = max(map(prompt_of, stub.requests), key=lambda text: ("left 2" in text, -text.find("left 2")))
    assert "A: " in asked and asked.index("left 2") < asked.index("right 2")
    page = client.get(f"/w/alpha/runs/{run.pk}/?item=1").content.decode()
    assert "Two responses" in page and "right 1" in page


def test_only_what_was_asked_alike_is_compared(
    launched: Callable[..., Run], dataset: Callable[..., DatasetVersion], alpha_access: Access,
    judge: Callable[..., JudgeVersion],
) -> None:  # fmt: skip
    version, compare = dataset(2), judge("compare")
    others = [{"key": "templates", "options": {"templates": ["So: {{ input }}"]}}]
    varied = launched(version=version, variations=others)
    again, once = launched(version=version, variations=others), launched(version=version)
    twice = launched(version=version, epochs=2)
    for mine, other in ((twice, varied), (varied, twice)):
        with pytest.raises(BadJudge, match="other variants or epochs"):
            add_judge(alpha_access, mine, compare, opponent=other)
    for other in (again, once):
        assert add_judge(alpha_access, varied, compare, opponent=other)
    wish = {"version": version, "judges": [compare], "opponent_run_id": varied.pk}
    with pytest.raises(LaunchProblems, match="other variants or epochs"):
        launched(epochs=2, **wish)
    assert launched(**wish).judgings.get().opponent == varied
