"""People's labels to take away: each with its item and response and, once unblinded, the judge's verdict."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import QuerySet

from analysis.models import HumanLabel
from analysis.selectors_review import entry_of
from judges.models import JudgeVersion
from runs.models import Score
from runs.selectors_variants import show_as_asked
from workspaces.models import User, Workspace

AT_ONCE = 500
Verdicts = dict[tuple[int, int], tuple[Score | None, int]]  # by judge and trial: what it said, its version


def labels_in(workspace: Workspace) -> QuerySet[HumanLabel]:
    """Of runs that are there, oldest first, with all that `label_rows` needs of them."""
    rows = HumanLabel.objects.filter(workspace=workspace, trial__run__judged=None)
    return rows.select_related("judge", "run", "trial__item", "person").defer("trial__item__responses")


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """A label with what the judge said of the response; `blind` is one whose verdict is withheld."""

    label: HumanLabel
    version: int | None
    said: Score | None
    blind: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain, in the order of a file's columns; the judge's fields are None where blind or without one."""
        label, trial, said = self.label, self.label.trial, self.said
        return {
            "id": label.pk,
            "judge": label.judge.name,
            "judge_id": label.judge_id,
            "judge_version": self.version,
            "run_id": label.run_id,
            "run": label.run.alias,
            "opponent_run_id": label.opponent_id,
            "seq": trial.seq,
            "epoch": trial.epoch,
            "item_id": trial.item.external_id,
            "section": trial.section,
            "prompt": trial.item.prompt,
            "response": trial.response,
            "person": label.person.email if label.person else "",
            "at": label.at.isoformat(),
            "answer": label.answer,
            "value": label.value,
            "passed": label.passed,
            "comment": label.comment,
            "blind": self.blind,
            "judge_answer": said.answer if said else None,
            "judge_value": said.value if said else None,
            "judge_passed": said.passed if said else None,
            "judge_feedback": said.explanation if said else None,
            "judge_unscored": said.unscored_reason if said else None,
        }


def label_rows(labels: Iterable[HumanLabel], person: User | None, *, unblind: bool) -> Iterator[LabelRow]:
    """The judge's verdict is beside a label where `person` has labelled that response too, or on all with
    `unblind`. Three queries for each AT_ONCE labels."""
    remaining = iter(labels)
    while some := list(islice(remaining, AT_ONCE)):
        _show_as_asked(some)
        own = HumanLabel.objects.filter(person=person, trial__in=[label.trial_id for label in some])
        seen = set(own.values_list("judge_id", "trial_id").order_by()) if person else set()
        verdicts = _verdicts(some)
        for label in some:
            key = (label.judge_id, label.trial_id)
            blind = not unblind and key not in seen
            said, version = verdicts.get(key, (None, None))
            yield LabelRow(label=label, version=version, said=None if blind else said, blind=blind)


def _show_as_asked(labels: Sequence[HumanLabel]) -> None:
    runs = {label.run_id: label.run for label in labels}
    for run in runs.values():
        show_as_asked(run, [label.trial for label in labels if label.run_id == run.pk])


def _verdicts(labels: Sequence[HumanLabel]) -> Verdicts:
    """Of the judge's own score on each labelled response, not of members of a panel."""
    versions = JudgeVersion.objects.filter(judge__in={label.judge_id for label in labels}).order_by()
    numbers: dict[int, dict[int, int]] = defaultdict(dict)
    for judge_id, pk, number in versions.values_list("judge_id", "pk", "number"):
        numbers[judge_id][pk] = number
    entries = {
        (label.judge_id, label.trial_id): entry_of(label.run, label.judge, list(numbers[label.judge_id]))
        for label in labels
    }
    names = {entry["name"] for entry in entries.values() if entry}
    scores = Score.objects.filter(trial__in={label.trial_id for label in labels}, scorer__in=names)
    said = {(score.trial_id, score.scorer): score for score in scores.order_by()}
    opponents = {(label.judge_id, label.trial_id): label.opponent_id for label in labels}
    return {
        key: (said.get((key[1], entry["name"])), numbers[key[0]][entry["version"]])
        for key, entry in entries.items()
        if entry and entry["opponent"] == opponents[key]
    }
