"""Judgings against a real endpoint with scripted judges: what is asked, scored and counted."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from datasets.models import DatasetVersion
from judges.models import JudgeVersion
from registry.models import RegisteredModel
from runs.engine.check import check_run
from runs.engine.host import run_to_end
from runs.exports.archive import summary_document
from runs.exports.tables import csv_table, jsonl
from runs.models import Attempt, GridCell, Run, RunStatus, Score, Tally, Trial, TrialState
from runs.selectors import ArchiveFilter, archived, board_runs
from runs.selectors_verdicts import CompareFigures, ScoreFigures, judge_figures
from runs.services import (
    BadJudge,
    CannotDo,
    Launch,
    LaunchProblems,
    Terms,
    add_judge,
    launch,
    launch_plan,
    run_cancel,
    run_delete,
    run_pause,
    run_resume,
    run_retry,
)
from tests.runs.scripted_judge import ScriptedJudge, prompt_of, verdict
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access
from workspaces.models import User

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
Judges = Callable[..., JudgeVersion]


def judged(run: Run) -> Run:
    """The run and its judgings executed to their end; all counters must agree with their rows."""
    run_to_end(run.pk)
    for judging in run.judgings.all():
        run_to_end(judging.pk)
        assert check_run(judging.pk) == {}
    run.refresh_from_db()
    assert check_run(run.pk) == {}
    return run


def scores(run: Run, scorer: str) -> dict[int, Score]:
    """By item's number."""
    return {
        score.trial.seq: score
        for score in Score.objects.filter(run=run, scorer=scorer).select_related("trial")
    }


def said(number: int, time: int, body: dict[str, Any]) -> str:
    """Every way in which a judge answers, by item."""
    right = verdict(label="Correct")
    return {
        2: f"<think>Is it {verdict(label='Wrong')}? No.</think>\n```json\n{right}\n```",
        3: right if time > 1 else verdict(label="Perhaps"),
        4: verdict(label="Perhaps"),
        5: "I'm sorry, but I can't help with that.",
        6: '{"feedback": "It goes on and on',
        7: "No idea.",
        8: verdict(label="wrong"),
    }.get(number, right)


def test_every_answer_of_a_judge_becomes_a_score_or_a_reason(
    launched: Launched, judge: Judges, stub: StubEndpoint
) -> None:
    script = ScriptedJudge(said)
    stub.set(script=script)
    run = judged(launched(10, judges=[judge()], max_failures=2))
    found = scores(run, "classify judge")
    assert {number: score.value for number, score in found.items()} == {
        1: 1, 2: 1, 3: 1, 4: None, 5: None, 6: None, 7: None, 8: 0, 9: 1, 10: 1,
    }  # fmt: skip
    assert [found[number].unscored_reason.partition(":")[0] for number in (4, 5, 6, 7)] == [
        "the judge's label is none of those it was given",
        "the judge declined to judge",
        "the judge's answer breaks off before its verdict",
        "the judge's answer holds no verdict",
    ]
    assert (found[8].answer, found[8].passed, found[8].explanation) == ("Wrong", False, "Because.")
    tallies = Tally.objects.filter(run=run, scorer="classify judge")
    assert sum(tally.scored for tally in tallies) == 6
    assert sum(tally.unscored for tally in tallies) == 4
    judging = run.judgings.get()
    assert (judging.status, judging.done, judging.errored, judging.total) == (RunStatus.COMPLETED, 6, 4, 10)
    assert script.calls("stub-model") == 10, "the response is not bought again"
    assert script.calls("judge-a") == 6 + 1 + 4 * 2
    unread = Attempt.objects.filter(run=judging, outcome="unreadable_verdict")
    assert unread.count() == 1 + 4 * 2
    assert all(attempt.output_tokens for attempt in unread), "it was paid for"
    kinds = Trial.objects.filter(run=judging, state=TrialState.ERRORED).values_list("error_kind", flat=True)
    assert sorted(kinds) == ["invalid_label", "refused", "truncated", "unparseable"]


def test_a_score_out_of_range_is_no_score(launched: Launched, judge: Judges, stub: StubEndpoint) -> None:
    stub.set(script=ScriptedJudge(lambda number, time, body: verdict(score=number)))
    run = judged(launched(6, judges=[judge("score")], max_failures=1))
    found = scores(run, "score judge")
    assert [found[n].value for n in range(1, 7)] == [1, 2, 3, 4, 5, None]
    assert [found[n].passed for n in range(1, 7)] == [False, False, False, True, True, None]
    assert "out of range" in found[6].unscored_reason


def test_a_judge_alone_leads(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    """Without code that scores, the judge's verdict is the trial's, and colours the grid."""
    stub.set(script=ScriptedJudge(said))
    run = judged(launched(10, judges=[judge()], scorers=[], max_failures=1))
    passed = dict(Trial.objects.filter(run=run).values_list("seq", "passed"))
    assert passed == {
        1: True,
        2: True,
        3: None,
        4: None,
        5: None,
        6: None,
        7: None,
        8: False,
        9: True,
        10: True,
    }
    assert sum(GridCell.objects.filter(run=run).values_list("passed", flat=True)) == 4
    assert Trial.objects.get(run=run, seq=8).answer == "Wrong"
    judging = run.judgings.get()
    stub.set(script=ScriptedJudge())
    assert run_retry(alpha_access, judging) == 5
    run = judged(run)
    assert Trial.objects.filter(run=run, passed=True).count() == 9
    assert Tally.objects.filter(run=run, unscored__gt=0).count() == 0


def test_a_failed_judge_is_asked_again_without_buying_the_response(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    """Its provider fails: the responses stay, unscored with the reason."""
    stub.set(script=ScriptedJudge(), fail_rate=0)
    version = judge()
    run = launched(5, judges=[version], max_failures=1)
    model = version.judge_models.get().model
    model.provider.base_url = "http://127.0.0.1:9/v1"
    model.provider.save(update_fields=["base_url"])
    run = judged(run)
    judging = run.judgings.get()
    assert (run.status, judging.status) == (RunStatus.COMPLETED, RunStatus.FAILED)
    reasons = {score.unscored_reason for score in scores(run, "classify judge").values()}
    assert all(reason.startswith("the judge's call failed") for reason in reasons)
    model.provider.base_url = stub.base_url
    model.provider.save(update_fields=["base_url"])
    run_retry(alpha_access, judging)
    run = judged(run)
    assert all(score.passed for score in scores(run, "classify judge").values())
    assert stub.stats.total == 10


def winner(number: int, time: int, body: dict[str, Any]) -> str:
    """1: really A · 2: always the first shown · 3: really B · 4: one order fails · 5: both do · 6: a tie."""
    prompt = prompt_of(body)
    swapped = prompt.index("better") > prompt.index("worse") if "worse" in prompt else False
    return {
        1: verdict(winner="B" if swapped else "A"),
        2: verdict(winner="A"),
        3: verdict(winner="A" if swapped else "B"),
        4: verdict(winner="B") if swapped else "?",
        5: "?",
        6: verdict(winner="tie"),
    }[number]


def test_comparing_asks_in_both_orders(
    launched: Launched, judge: Judges, stub: StubEndpoint, model: Callable[..., RegisteredModel],
    alpha_access: Access, dataset: Callable[..., DatasetVersion],
) -> None:  # fmt: skip
    names = {"stub-model": "worse", "stub-model-b": "better"}
    script = ScriptedJudge(winner, lambda number, name: f"{names[name]} ANSWER: {2 * number}")
    stub.set(script=script)
    targets = [model().pk, model(name="stub-model-b").pk]
    evaluation = launch(
        alpha_access,
        Launch(
            dataset_version_id=dataset(6).pk, model_ids=targets, scorers=[{"key": "numeric"}],
            judges=[judge("compare")], max_failures=1,
        ),
    )  # fmt: skip
    first, second = evaluation.runs.filter(judged=None).order_by("pk")
    assert not first.judgings.exists(), "nobody is compared with itself"
    run_to_end(first.pk)
    second = judged(second)
    judging = second.judgings.get()
    assert (judging.opponent_id, judging.total, script.calls("judge-a")) == (first.pk, 12, 12)
    found = scores(second, "compare judge")
    assert [found[n].answer for n in range(1, 7)] == ["A", "tie", "B", "A", "", "tie"]
    assert [found[n].value for n in range(1, 7)] == [1, 0.5, 0, 1, None, 0.5]
    assert [(found[n].detail or {})["flags"] for n in (1, 2, 4, 6)] == [[], ["flipped"], ["single_pass"], []]
    passes = found[2].detail["passes"]
    assert [(each["swapped"], each["answer"]) for each in passes] == [(False, "A"), (True, "B")]


def test_an_opponent_that_comes_later_is_waited_for(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(script=ScriptedJudge(lambda number, time, body: verdict(winner="tie")))
    first = launched(4)
    second = launched(version=first.dataset_version)
    [judging] = add_judge(alpha_access, second, judge("compare"), opponent=first)
    run_to_end(second.pk)
    judging.refresh_from_db()
    assert (judging.total, judging.status) == (0, RunStatus.PENDING), "no response to compare with is there"
    run_to_end(first.pk)
    assert judged(second).judgings.get().total == 8


def test_a_recorded_column_against_fresh_answers(
    judge: Judges, stub: StubEndpoint, model: Callable[..., RegisteredModel], alpha_access: Access,
    dataset: Callable[..., DatasetVersion],
) -> None:  # fmt: skip
    stub.set(script=ScriptedJudge(lambda number, time, body: verdict(winner="A")))
    rows = [
        {"prompt": f"What is {n} + {n}?", "references": [str(2 * n)], "responses": {"old": "7"}}
        for n in (1, 2)
    ]
    version = dataset(rows, response_models=["old"])
    wish = Launch(
        dataset_version_id=version.pk, model_ids=[model().pk], judges=[judge("compare", both_orders=False)],
        opponent_recorded="old",
    )  # fmt: skip
    evaluation = launch(alpha_access, wish)
    fresh, recorded = evaluation.runs.filter(judged=None).order_by("pk")
    run_to_end(recorded.pk)
    assert [score.value for score in scores(judged(fresh), "compare judge").values()] == [1, 1]
    asked = prompt_of(stub.requests[-1])
    assert "7" in asked and "ANSWER" in asked


def test_recorded_responses_are_judged(
    judge: Judges, stub: StubEndpoint, alpha_access: Access, dataset: Callable[..., DatasetVersion]
) -> None:
    """A file of questions and answers needs no model to be called but the judge."""
    script = ScriptedJudge()
    stub.set(script=script)
    rows = [{"prompt": f"What is {n} + {n}?", "references": [], "responses": {"old": "7"}} for n in (1, 2, 3)]
    version = dataset(rows, response_models=["old"])
    evaluation = launch(
        alpha_access,
        Launch(dataset_version_id=version.pk, recorded_names=["old"], responses="recorded", judges=[judge()]),
    )
    run = judged(evaluation.runs.get(judged=None))
    assert (run.done, script.calls("judge-a"), stub.stats.total) == (3, 3, 3)
    assert Trial.objects.filter(run=run, passed=True).count() == 3


def test_several_targets_and_judges_ask_each_target_once(
    judge: Judges, stub: StubEndpoint, model: Callable[..., RegisteredModel], alpha_access: Access,
    dataset: Callable[..., DatasetVersion],
) -> None:  # fmt: skip
    script = ScriptedJudge(lambda number, time, body: verdict(label="Correct", score=5))
    stub.set(script=script)
    wish = Launch(
        dataset_version_id=dataset(4).pk, model_ids=[model().pk, model(name="stub-model-b").pk],
        scorers=[{"key": "numeric"}], judges=[judge(), judge("score", models=["judge-b"])], epochs=2,
    )  # fmt: skip
    assert (launch_plan(alpha_access, wish).calls, launch_plan(alpha_access, wish).judge_calls) == (48, 32)
    evaluation = launch(alpha_access, wish)
    for run in evaluation.runs.filter(judged=None):
        judged(run)
        assert run.scorer_names == ["numeric", "classify judge", "score judge"]
        assert Score.objects.filter(run=run).count() == 8 * 3
    assert script.calls("stub-model") == script.calls("stub-model-b") == 8
    assert script.calls("judge-a") == script.calls("judge-b") == 16
    assert [run.judged_id for run in board_runs(alpha_access.workspace)] == [None, None]
    assert archived(alpha_access.workspace, ArchiveFilter()).count() == 2


def test_repeats_vote(launched: Launched, judge: Judges, stub: StubEndpoint) -> None:
    def says(number: int, time: int, body: dict[str, Any]) -> str:
        return verdict(label="Wrong" if time == 1 or number == 2 else "Correct")

    stub.set(script=ScriptedJudge(says))
    run = judged(launched(2, judges=[judge(repeats=3)]))
    found = scores(run, "classify judge")
    assert [(found[n].passed, found[n].detail["flags"]) for n in (1, 2)] == [(True, ["split"]), (False, [])]
    assert len(found[1].detail["passes"]) == 3
    [figures] = judge_figures(run)
    assert figures.consistent and (figures.consistent.correct, figures.consistent.n) == (1, 2)


def test_a_judge_added_later_scores_what_is_there(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    script = ScriptedJudge()
    stub.set(script=script)
    run = judged(launched(7))
    [judging] = add_judge(alpha_access, run, judge())
    assert judging.trials.count() == 7
    run = judged(run)
    assert (script.calls("stub-model"), script.calls("judge-a")) == (7, 7)
    assert len(scores(run, "classify judge")) == 7
    assert Trial.objects.filter(run=run, answer="").count() == 0, "the first scorer still leads"
    [again] = add_judge(alpha_access, run, judge(name="other"))
    assert again.scorer == "other"
    with pytest.raises(CannotDo):
        add_judge(alpha_access, judging, judge(name="third"))
    with pytest.raises(BadJudge, match="compares"):
        add_judge(alpha_access, run, judge("compare"))


def test_items_asked_again_are_judged_too(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    """A retry of the judged run opens a judging that had ended."""
    rows = [
        {"prompt": f"What is {n} + {n}? [[fail:500*1]]" if n == 2 else f"What is {n} + {n}?"}
        for n in (1, 2, 3)
    ]
    stub.set(script=ScriptedJudge())
    version = judge(user_template="{{ response }}")
    run = judged(launched(rows, judges=[version], max_failures=1))
    judging = run.judgings.get()
    assert (run.done, run.errored, judging.total, judging.status) == (2, 1, 2, RunStatus.COMPLETED)
    run_retry(alpha_access, run)
    run = judged(run)
    judging.refresh_from_db()
    assert (run.done, judging.total, judging.done, judging.status) == (3, 3, 3, RunStatus.COMPLETED)


def test_judgings_follow_pause_cancel_resume_and_deletion(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(script=ScriptedJudge())
    run = launched(5, judges=[judge(), judge(name="other")])
    states = lambda: set(run.judgings.values_list("status", flat=True))  # noqa: E731
    run_pause(alpha_access, run)
    assert states() == {RunStatus.PAUSED}
    run_resume(alpha_access, run)
    assert states() == {RunStatus.PENDING}
    run_cancel(alpha_access, run)
    assert states() == {RunStatus.CANCELED}
    run.refresh_from_db()
    run_resume(alpha_access, run)
    run = judged(run)
    assert states() == {RunStatus.COMPLETED} and len(scores(run, "other")) == 5
    first = run.judgings.get(scorer="classify judge")
    run_delete(alpha_access, first)
    run.refresh_from_db()
    assert run.scorer_names == ["numeric", "other"]
    assert check_run(run.pk) == {} and not scores(run, "classify judge")
    run_delete(alpha_access, run)
    assert not Run.objects.exists() and not Trial.objects.exists() and not Score.objects.exists()


def test_the_next_scorer_leads_when_the_first_is_deleted(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(script=ScriptedJudge(lambda number, time, body: verdict(
        label="Correct" if body["model"] == "judge-a" or number == 1 else "Wrong")))  # fmt: skip
    judges = [judge(), judge(models=["judge-b"], name="strict")]
    run = judged(launched(4, judges=judges, scorers=[]))
    assert Trial.objects.filter(run=run, passed=True).count() == 4
    run_delete(alpha_access, run.judgings.get(scorer="classify judge"))
    assert Trial.objects.filter(run=run, passed=True).count() == 1
    assert check_run(run.pk) == {}


def test_a_deleted_opponent_stops_the_comparison(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(script=ScriptedJudge(lambda number, time, body: verdict(winner="tie")))
    first = judged(launched(2))
    second = launched(version=first.dataset_version)
    add_judge(alpha_access, second, judge("compare"), opponent=first)
    run_delete(alpha_access, first)
    second = judged(second)
    judging = second.judgings.get()
    assert (second.status, judging.status, judging.total) == (RunStatus.COMPLETED, RunStatus.CANCELED, 0)


def test_what_cannot_be_judged_is_said_at_the_launch(
    launched: Launched, judge: Judges, alpha_access: Access
) -> None:
    with pytest.raises(LaunchProblems, match="needs a second response"):
        launched(2, judges=[judge("compare")])
    version = judge()
    version.judge_models.get().model.delete()
    with pytest.raises(LaunchProblems, match="cannot be called"):
        launched(2, judges=[version])
    with pytest.raises(LaunchProblems, match="scorer or judge"):
        launched(2, scorers=[])
    patient = judge("compare", name="patient", repeats=9, both_orders=True)
    texts = [f"{number}: {{{{ input }}}} {{{{ choices }}}}" for number in range(10)]
    many: dict[str, Any] = {
        "epochs": 100, "template": "{{ input }} {{ choices }}", "variations": [
            {"key": "shuffle_choices", "options": {"count": 10}},
            {"key": "templates", "options": {"templates": texts}},
        ],
    }  # fmt: skip
    chosen = [{"prompt": "Which?", "choices": ["a", "b", "c", "d"], "references": ["A"]}]
    with pytest.raises(LaunchProblems, match="37,800 times about one item; at most 32,767"):
        launched(chosen, judges=[patient], **many)
    run = launched(chosen, **many)
    assert run.total == 2100
    with pytest.raises(BadJudge, match="37,800 times"):
        add_judge(alpha_access, run, patient, opponent=launched(1))


def test_the_api_launches_adds_and_reads_judges(
    judge: Judges, stub: StubEndpoint, model: Callable[..., RegisteredModel], alpha_access: Access,
    dataset: Callable[..., DatasetVersion], editor: User, client_of: Callable[[User], Client],
) -> None:  # fmt: skip
    stub.set(script=ScriptedJudge(said))
    judge()
    api, head = client_of(editor), {"X-Workspace": "alpha"}

    def post(path: str, body: dict[str, Any]) -> Any:
        return api.post(f"/api/v1{path}", body, content_type="application/json", headers=head)

    wish = {"dataset_version_id": dataset(8).pk, "model_ids": [model().pk], "judges": ["classify judge"]}
    assert "nobody" in str(post("/evaluations", wish | {"judges": ["nobody"]}).json()["errors"])
    wish["max_failures"] = 1
    [run_id] = post("/evaluations", wish).json()["runs"]
    judged(Run.objects.get(pk=run_id))
    detail = api.get(f"/api/v1/runs/{run_id}", headers=head).json()
    assert [each["judge"] for each in detail["judgings"]] == ["classify judge"]
    assert [each["id"] for each in api.get("/api/v1/runs", headers=head).json()["results"]] == [run_id]
    other = judge("score", models=["judge-b"])
    [made] = post(f"/runs/{run_id}/judges", {"judge": other.pk}).json()
    assert (made["total"], made["status"]) == (8, "pending")
    assert post(f"/runs/{run_id}/judges", {"judge": "nobody"}).status_code == 400
    assert post(f"/runs/{made['id']}/judges", {"judge": other.pk}).status_code == 409
    found, _ = api.get(f"/api/v1/runs/{run_id}/judges", headers=head).json()
    assert found["judging"]["errored"] == 5
    figures = found["figures"]
    assert figures["labels"] == {"Correct": 2, "Wrong": 1}
    assert (figures["n"], figures["judge_failures"], figures["invalid"]) == (3, 3, 2)
    assert (figures["passed"]["correct"], figures["passed"]["n"]) == (2, 3)


def test_figures_as_they_are_published(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(script=ScriptedJudge(lambda number, time, body: verdict(score=number)))
    run = judged(launched(6, judges=[judge("score")], max_failures=1))
    [found] = judge_figures(run)
    assert isinstance(found, ScoreFigures)
    assert (found.n, found.invalid, found.unscored, found.judge_failures) == (5, 1, 1, 0)
    assert found.mean and found.passed
    assert (found.mean.value, found.standard_deviation) == (3, pytest.approx(2.5**0.5))
    assert (found.passed.value, found.passed.n) == (pytest.approx(0.4), 5)
    assert found.unreadable and (found.unreadable.correct, found.unreadable.n) == (1, 6)
    stub.set(script=ScriptedJudge(winner, lambda number, name: f"ANSWER: {2 * number}"))
    other = judged(launched(version=run.dataset_version, judges=[]))
    add_judge(alpha_access, other, judge("compare"), opponent=run, terms=Terms(max_failures=1))
    [found] = judge_figures(judged(other))
    assert isinstance(found, CompareFigures)
    # Without a mark of the better one the script thinks that nothing is swapped: 1, 2 and 3 flip.
    assert (found.a_wins, found.b_wins, found.ties, found.judge_failures + found.invalid) == (3, 3, 2, 4)
    assert (found.wins, found.losses, found.draws) == (0, 0, 4)
    assert found.flips and found.win_rate
    assert (found.flips.value, found.win_rate.value, found.sign_p) == (0.75, 0.5, None)


def test_files_hold_feedback_labels_and_both_orders(
    launched: Launched, judge: Judges, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(script=ScriptedJudge(lambda number, time, body: verdict(winner="A")))
    first = judged(launched(2))
    second = judged(launched(version=first.dataset_version))
    add_judge(alpha_access, second, judge("compare"), opponent=first)
    add_judge(alpha_access, second, judge("classify", models=["judge-b"]))
    second = judged(second)
    row = json.loads(b"".join(jsonl(second)).splitlines()[0])
    compared = next(score for score in row["scores"] if score["scorer"] == "compare judge")
    assert [each["answer"] for each in compared["detail"]["passes"]] == ["A", "B"]
    table = list(csv.DictReader(io.StringIO(b"".join(csv_table(second)).decode())))
    cells = table[0]
    assert cells["compare judge: answer"] == "tie"
    assert cells["compare judge: flags"] == "flipped"
    assert cells["compare judge: pass 1 (A first) answer"] == "A"
    assert cells["compare judge: pass 2 (B first) feedback"] == "Because."
    assert cells["classify judge: unscored_reason"].startswith("the judge's answer holds no verdict")
    assert summary_document(second)["judges"][0]["flips"]["value"] == 1
