"""Finished runs as rows: what a comparison reads, without executing anything."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from analysis.models import HumanLabel
from analysis.outcomes import forget
from analysis.services_labels import label_keep
from datasets.models import DatasetVersion, Item
from judges.models import JudgeVersion, frozen
from judges.services import Draft, judge_create
from registry.models import RegisteredModel
from runs.models import Evaluation, Run, Score, Tally, Trial
from workspaces.access import access_for
from workspaces.models import User, Workspace

Made = Callable[..., Run]
ERRORED, UNSCORED, WAITING = "errored", "unscored", "waiting"


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    forget()


@pytest.fixture
def scored_run(alpha: Workspace) -> Made:
    """`scored_run(version, [1, 0, "errored", 0.5])`: a run with one outcome an item, `epochs` in turn.

    Numbers 0 and 1 fail and pass; others pass from 0.5 on. Answers are the outcomes unless given.
    """

    def make(
        version: DatasetVersion,
        outcomes: Sequence[Any],
        *,
        workspace: Workspace | None = None,
        epochs: int = 1,
        answers: Sequence[str] | None = None,
        judged: bool = True,
        scorer: str = "numeric",
        **values: Any,
    ) -> Run:
        place = workspace or alpha
        evaluation = Evaluation.objects.create(workspace=place, name="Made")
        config = {"scorers": [{"key": "numeric", "name": scorer, "options": {}}], "epochs": epochs}
        known = {"status": "completed", "alias": f"m{Run.objects.count()}", "total": len(outcomes)}
        run = Run.objects.create(
            workspace=place, evaluation=evaluation, dataset_version=version, config=config, **(known | values)
        )
        items = list(Item.objects.filter(version=version).order_by("position"))
        wanted = [(items[at // epochs], at % epochs + 1, outcome) for at, outcome in enumerate(outcomes)]
        told = answers or [str(outcome) for outcome in outcomes]
        trials = Trial.objects.bulk_create(
            _trial(run, item, epoch, seq, outcome, judged, told[seq - 1])
            for seq, (item, epoch, outcome) in enumerate(wanted, 1)
        )
        scores = [
            _score(run, trial, scorer, outcome, answer, judged)
            for trial, outcome, answer in zip(trials, outcomes, told, strict=True)
            if outcome not in (ERRORED, WAITING)
        ]
        Score.objects.bulk_create(scores)
        _tally(run, scorer, scores)
        return run

    return make


def _passed(outcome: Any, judged: bool) -> bool | None:
    return bool(outcome >= 0.5) if judged and not isinstance(outcome, str) else None


def _trial(run: Run, item: Item, epoch: int, seq: int, outcome: Any, judged: bool, answer: str) -> Trial:
    state = outcome if outcome in (ERRORED, WAITING) else "done"
    return Trial(
        run=run, item=item, epoch=epoch, seq=seq, section=item.section, state=state,
        passed=_passed(outcome, judged), answer=answer, response=f"It is {answer}", latency_ms=100 + seq,
    )  # fmt: skip


def _score(run: Run, trial: Trial, scorer: str, outcome: Any, answer: str, judged: bool) -> Score:
    scored = not isinstance(outcome, str)
    return Score(
        run=run, trial=trial, scorer=scorer, answer=answer, passed=_passed(outcome, judged),
        value=outcome if scored else None, unscored_reason="" if scored else "no number",
    )  # fmt: skip


def _tally(run: Run, scorer: str, scores: Sequence[Score]) -> None:
    values = [score.value for score in scores if score.value is not None]
    Tally.objects.create(
        run=run, scorer=scorer, scored=len(values), passed=sum(bool(score.passed) for score in scores),
        value_sum=sum(values), value_sum_squares=sum(value * value for value in values),
    )  # fmt: skip


@pytest.fixture
def three(dataset: Callable[..., DatasetVersion], scored_run: Made) -> list[Run]:
    """A, B and C over 40 items: B fixes 12 of A's and breaks 2; C is like A but has one error."""
    version = dataset(40)
    first = [1] * 20 + [0] * 20
    second = [0] * 2 + [1] * 18 + [1] * 12 + [0] * 8
    third = [ERRORED, *first[1:]]
    return [scored_run(version, outcomes) for outcomes in (first, second, third)]


# Judged runs


@pytest.fixture
def judge(editor: User, model: Callable[..., RegisteredModel]) -> JudgeVersion:
    """Correct passes, Wrong does not."""
    labels = [{"label": "Correct", "passes": True}, {"label": "Wrong", "passes": False}]
    draft = Draft(
        name="grader", kind="classify", labels=labels, user_template="{{ response }}", model_ids=[model().pk]
    )
    return judge_create(access_for(editor, "alpha"), draft)


@pytest.fixture
def judged_run(scored_run: Made) -> Made:
    """`judged_run(version, judge, [1, 0, "unscored"])`: a run whose only scorer is the judge."""

    def make(version: DatasetVersion, judge: JudgeVersion, outcomes: Sequence[Any], **values: Any) -> Run:
        answers = [{1: "Correct", 0: "Wrong"}.get(outcome, "") for outcome in outcomes]
        run = scored_run(version, outcomes, answers=answers, scorer=judge.judge.name, **values)
        entry = {
            "key": "judge", "name": judge.judge.name, "title": f"{judge.judge.name} v{judge.number}",
            "kind": judge.kind, "version": judge.pk, "judging": None, "panel": "", "opponent": None,
            "options": {}, "passes": 1, "both_orders": False,
        }  # fmt: skip
        told = {"model": {"name": run.alias}, "dataset": {"name": "Numbers", "version": 1}, "params": {}}
        run.config = {**run.config, **told, "scorers": [], "judges": [entry], "template": ""}
        run.config["responses"] = "recorded"
        run.save(update_fields=["config"])
        judging = Run.objects.create(
            workspace=run.workspace, evaluation=run.evaluation, dataset_version=version, judged=run,
            status="completed", alias="judge", scorer=judge.judge.name, config={"judge": frozen(judge)},
        )  # fmt: skip
        entry["judging"] = judging.pk
        run.save(update_fields=["config"])
        return run

    return make


@pytest.fixture
def say(editor: User) -> Callable[..., list[HumanLabel]]:
    """`say(run, judge, ["Correct", "", "Wrong"])`: what a person says of the first; "" is nothing."""

    def make(
        run: Run, judge: JudgeVersion, answers: Sequence[str], person: User = editor
    ) -> list[HumanLabel]:
        trials = list(run.trials.select_related("run").order_by("seq")[: len(answers)])
        held = access_for(person, run.workspace.slug)
        return [
            label_keep(held, judge.judge, trial, answer)
            for trial, answer in zip(trials, answers, strict=True)
            if answer
        ]

    return make
