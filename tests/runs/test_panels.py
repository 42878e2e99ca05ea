"""Panels: several judge models over one response, also when one of them stops."""

from collections.abc import Callable
from typing import Any

import pytest

from judges.models import JudgeVersion
from runs.models import Run, Trial
from runs.selectors_judges import judge_rows
from runs.services import run_cancel, run_pause, run_resume
from tests.runs.scripted_judge import ScriptedJudge, verdict
from tests.runs.test_judging import judged, scores
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
Judges = Callable[..., JudgeVersion]


def test_a_panel_decides_when_all_its_members_have_spoken(
    launched: Launched, judge: Judges, stub: StubEndpoint
) -> None:
    def says(number: int, time: int, body: dict[str, Any]) -> str:
        if number == 3:
            return verdict(label="Correct") if body["model"] == "judge-a" else "?"
        return verdict(label="Wrong" if body["model"] == "judge-c" or number == 2 else "Correct")

    stub.set(script=ScriptedJudge(says))
    version = judge(models=["judge-a", "judge-b", "judge-c"], min_votes=2)
    run = judged(launched(3, judges=[version], max_failures=1, scorers=[]))
    assert run.scorer_names == [
        "classify judge", "classify judge · judge-a", "classify judge · judge-b", "classify judge · judge-c",
    ]  # fmt: skip
    found = scores(run, "classify judge")
    assert [found[n].passed for n in (1, 2, 3)] == [True, False, None]
    assert found[1].detail["flags"] == ["split"]
    assert found[3].unscored_reason.startswith("too few of the judge models gave a verdict")
    assert dict(Trial.objects.filter(run=run).values_list("seq", "passed")) == {1: True, 2: False, 3: None}


def test_a_panel_waits_for_a_paused_member_and_decides_without_a_canceled_one(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    """Once the member goes on, its vote counts after all."""
    stub.set(script=ScriptedJudge(lambda number, time, body: verdict(
        label="Correct" if body["model"] == "judge-a" or number == 1 else "Wrong")))  # fmt: skip
    version = judge(models=["judge-a", "judge-b", "judge-c"], min_votes=2)
    run = launched(4, judges=[version], scorers=[])
    late = run.judgings.get(scorer="classify judge · judge-c")
    run_pause(alpha_access, late)
    run = judged(run)
    assert not scores(run, "classify judge") and len(scores(run, "classify judge · judge-b")) == 4
    [waits] = judge_rows(run)[0].waits
    assert (waits.judging.pk, waits.n) == (late.pk, 4)
    late.refresh_from_db()
    run_cancel(alpha_access, late)
    run = judged(run)
    found = scores(run, "classify judge")
    assert found[1].passed and found[1].detail["flags"] == ["votes_missing"]
    assert found[2].unscored_reason == "as many judge models say pass as fail: 1 to 1"
    assert found[1].detail["votes"]["classify judge · judge-c"] == "" and not judge_rows(run)[0].waits
    assert dict(Trial.objects.filter(run=run).values_list("seq", "passed"))[1] is True
    late.refresh_from_db()
    run_resume(alpha_access, late)
    run = judged(run)
    found = scores(run, "classify judge")
    assert [found[n].passed for n in (1, 2, 3, 4)] == [True, False, False, False]
    assert found[1].detail["flags"] == []


def test_too_few_votes_are_said(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(script=ScriptedJudge())
    run = launched(2, judges=[judge(models=["judge-a", "judge-b"], min_votes=2)])
    run_cancel(alpha_access, run.judgings.get(scorer="classify judge · judge-b"))
    found = scores(judged(run), "classify judge")
    assert {score.unscored_reason.partition(":")[0] for score in found.values()} == {
        "too few of the judge models gave a verdict"
    }
