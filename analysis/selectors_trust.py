"""What is known of a judge's versions: agreement with people, consistency, failures, state by dataset."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.models import HumanLabel
from analysis.stats.results import Interval
from analysis.trust import Agreement, Rated, State, agreement_of, among_people, people_say
from judges.kinds.base import JudgeVerdict
from judges.metrics import Estimate
from judges.models import ControlCheck, Judge, JudgeVersion, fields_of
from judges.selectors import false_pass_rate, newest_check
from runs.models import Run, Score
from runs.selectors_consistency import consistent_in, details_of, flips_in, unreadable_of

JUDGINGS = 100  # the newest of a version, for how its calls went


@dataclass(frozen=True)
class Labelled:
    """A response that people labelled. `said` by the fingerprint of a version; None is no verdict."""

    run_id: int
    dataset_id: int
    seq: int
    answers: Mapping[int, str]
    said: Mapping[str, JudgeVerdict | None]


def labelled_of(judge: Judge) -> list[Labelled]:
    """Everything that people labelled by this rubric, with what each of its versions says; four queries."""
    rows = HumanLabel.objects.filter(judge=judge, trial__run__judged=None)
    fields = ("run_id", "trial_id", "trial__seq", "opponent_id", "pk", "person_id", "answer")
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows.values_list(*fields).order_by("pk"):
        found[row[1]].append(row)
    runs = Run.objects.in_bulk({each[0][0] for each in found.values()})
    datasets = dict(
        Run.objects.filter(pk__in=runs).values_list("pk", "dataset_version__dataset_id").order_by()
    )
    fingerprints = dict(judge.versions.values_list("pk", "fingerprint"))
    names = {pk: _scorers(run, fingerprints) for pk, run in runs.items()}
    said = _said(judge, names)
    return [
        Labelled(
            run_id=given[0][0],
            dataset_id=datasets[given[0][0]],
            seq=given[0][2],
            answers={person or -pk: answer for *_, pk, person, answer in given},
            said={
                fingerprint: said.get((trial, scorer))
                for fingerprint, (scorer, opponent) in names[given[0][0]].items()
                if opponent == given[0][3]
            },
        )
        for trial, given in found.items()
    ]


def _scorers(run: Run, fingerprints: Mapping[int, str]) -> dict[str, tuple[str, int | None]]:
    """By fingerprint the scorer's name and the opponent: the first time that a version was asked."""
    found: dict[str, tuple[str, int | None]] = {}
    for entry in run.config.get("judges", []):
        if not entry["panel"] and entry["version"] in fingerprints:
            found.setdefault(fingerprints[entry["version"]], (entry["name"], entry["opponent"]))
    return found


def _said(
    judge: Judge, names: Mapping[int, Mapping[str, tuple[str, int | None]]]
) -> dict[tuple[int, str], JudgeVerdict]:
    wanted = {name for each in names.values() for name, _ in each.values()}
    labelled = HumanLabel.objects.filter(judge=judge).order_by().values("trial")
    scores = Score.objects.filter(
        run__in=list(names), trial__in=labelled, scorer__in=wanted, value__isnull=False
    )
    rows = scores.order_by().values_list("trial_id", "scorer", "value", "passed", "answer")
    return {
        (trial, scorer): JudgeVerdict(value or 0.0, passed, said)
        for trial, scorer, value, passed, said in rows
    }


@dataclass(frozen=True)
class Calibration:
    """A version on a dataset. `split` responses have people who disagree, `without` no verdict of the judge:
    neither counts."""

    dataset_id: int | None
    agreement: Agreement
    split: int
    without: int
    people: Interval | None

    @property
    def state(self) -> State:
        return self.agreement.state


def calibration(
    version: JudgeVersion, labelled: Sequence[Labelled], dataset_id: int | None = None
) -> Calibration:
    """On one dataset, or on all together. No query."""
    kind, fields = version.kind, fields_of(version)
    rated, split, without, answers = [], 0, 0, []
    for each in labelled:
        if version.fingerprint not in each.said or dataset_id not in (None, each.dataset_id):
            continue
        answers.append(each.answers)
        people, judge = people_say(kind, fields, list(each.answers.values())), each.said[version.fingerprint]
        if judge is None:
            without += 1
        elif people is None:
            split += 1
        else:
            rated.append(Rated(each.run_id, each.seq, people, judge))
    return Calibration(
        dataset_id, agreement_of(kind, fields, rated), split, without, among_people(kind, answers)
    )


@dataclass(frozen=True)
class Behaviour:
    """What a version's own calls tell, over its newest judgings. Shares have their Wilson interval.

    `unreadable`: of the calls that were answered, those without a readable verdict in spite of asking again.
    `flips`: responses whose verdict changed with the order. `consistent`: responses whose repeats, in one
    order, all said the same.
    """

    judgings: int
    unreadable: Estimate | None
    flips: Estimate | None
    consistent: Estimate | None
    check: ControlCheck | None
    false_passes: Estimate | None


def behaviour_of(version: JudgeVersion) -> Behaviour:
    """Six queries at most."""
    same = version.judge.versions.filter(fingerprint=version.fingerprint).values_list("pk", flat=True)
    judgings = list(
        Run.objects.filter(
            workspace=version.judge.workspace_id, judged__isnull=False,
            config__judge__version_id__in=list(same),
        ).only("pk", "judged_id", "scorer").order_by("-pk")[:JUDGINGS]
    )  # fmt: skip
    check = newest_check(version)
    passed = details_of({(run.judged_id or 0, run.scorer) for run in judgings})
    return Behaviour(
        judgings=len(judgings),
        unreadable=unreadable_of(judgings),
        flips=flips_in(passed) if version.kind == "compare" and version.both_orders else None,
        consistent=consistent_in(passed) if version.repeats > 1 else None,
        check=check,
        false_passes=false_pass_rate(check) if check and check.finished_at and check.n else None,
    )


@dataclass(frozen=True)
class Card:
    """A version's card. `by_dataset` are (name, calibration); `voided` are names of datasets with the state
    that an older version of other content had there."""

    version: JudgeVersion
    whole: Calibration
    by_dataset: Sequence[tuple[str, Calibration]]
    voided: Sequence[tuple[str, JudgeVersion, State]]
    behaviour: Behaviour


def card_of(version: JudgeVersion, versions: Sequence[JudgeVersion], wanted: int | None) -> Card:
    """On the dataset of that id, or on all. `versions` are all of the judge, newest first."""
    labelled = labelled_of(version.judge)
    judged = [each for each in labelled if version.fingerprint in each.said]
    titles = _titles([each.run_id for each in labelled])
    return Card(
        version=version,
        whole=calibration(version, labelled, wanted),
        by_dataset=[
            (titles[pk], calibration(version, labelled, pk)) for pk in sorted({e.dataset_id for e in judged})
        ],
        voided=list(_voided(version, versions, labelled, titles)),
        behaviour=behaviour_of(version),
    )


def _titles(runs: Sequence[int]) -> dict[int, str]:
    rows = Run.objects.filter(pk__in=set(runs)).order_by()
    return dict(rows.values_list("dataset_version__dataset_id", "dataset_version__dataset__name"))


def _voided(
    version: JudgeVersion,
    versions: Sequence[JudgeVersion],
    labelled: Sequence[Labelled],
    titles: Mapping[int, str],
) -> list[tuple[str, JudgeVersion, State]]:
    """The newest older version of other content that was more than uncalibrated where this one is not."""
    found: list[tuple[str, JudgeVersion, State]] = []
    for pk, title in titles.items():
        if calibration(version, labelled, pk).state != State.UNCALIBRATED:
            continue
        for older in versions:
            if older.number >= version.number or older.fingerprint == version.fingerprint:
                continue
            state = calibration(older, labelled, pk).state
            if state != State.UNCALIBRATED:
                found.append((title, older, state))
                break
    return found
