"""A run's figures from its judges, corrected by what people said of a sample of its responses."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any

from analysis.models import HumanLabel
from analysis.stats.corrected import ppi_half_width, ppi_mean, rogan_gladen, rogan_gladen_effect
from analysis.stats.results import Interval
from analysis.trust import people_say
from judges.kinds.base import JudgeVerdict
from judges.metrics import Estimate
from judges.metrics.clustered import clustered_mean, clustered_share
from judges.models import JudgeVersion, fields_of
from runs.models import Run, Score

MORE = 20
WHAT = {"classify": "pass", "score": "mean", "compare": "win rate"}


@dataclass(frozen=True)
class Corrected:
    """One judge of a run. `share` figures are 0 to 1: the share that passes, or the win rate with ties as
    half; others are means of the judge's own scores.

    `raw` is over all that the judge has a verdict on, `labelled` of which have one by people. `ppi` and, of a
    pass rate, `rogan` are estimates of what people would say of all. `then` is half of the interval that MORE
    labels are expected to leave. Responses to one item, as of epochs, are one cluster in every interval.
    """

    entry: Mapping[str, Any]
    judge_id: int
    what: str
    share: bool
    raw: Estimate
    labelled: int
    ppi: Interval | None = None
    rogan: Interval | None = None
    then: float | None = None


Values = dict[int, tuple[float, bool | None, int]]  # by trial: value, passed, item


def corrected_of(run: Run) -> list[Corrected]:
    """Of each judge, not of a panel's members, that has a verdict; four queries at most."""
    entries = [entry for entry in run.config.get("judges", []) if not entry["panel"]]
    versions = JudgeVersion.objects.in_bulk([entry["version"] for entry in entries])
    known = [(entry, versions[entry["version"]]) for entry in entries if entry["version"] in versions]
    people = _people(run, [version.judge_id for _, version in known])
    said = _said(run, [entry["name"] for entry, _ in known])
    return [
        corrected(entry, version, said[entry["name"]], _answers(people, entry, version))
        for entry, version in known
        if said[entry["name"]]
    ]


def _people(run: Run, judges: Sequence[int]) -> list[tuple[int, int, int | None, str]]:
    rows = HumanLabel.objects.filter(run=run, judge__in=judges, trial__run=run).order_by("pk")
    return list(rows.values_list("judge_id", "trial_id", "opponent_id", "answer"))


def _said(run: Run, names: Sequence[str]) -> dict[str, Values]:
    found: dict[str, Values] = defaultdict(dict)
    rows = Score.objects.filter(run=run, scorer__in=names, value__isnull=False).order_by()
    for scorer, trial, value, passed, item in rows.values_list(
        "scorer", "trial_id", "value", "passed", "trial__item_id"
    ):
        found[scorer][trial] = (value or 0.0, passed, item)
    return found


def _answers(
    people: Sequence[tuple[int, int, int | None, str]], entry: Mapping[str, Any], version: JudgeVersion
) -> dict[int, JudgeVerdict]:
    """What people say by trial, where they are not split."""
    given: dict[int, list[str]] = defaultdict(list)
    for judge, trial, opponent, answer in people:
        if judge == version.judge_id and opponent == entry["opponent"]:
            given[trial].append(answer)
    fields = fields_of(version)
    read = {trial: people_say(version.kind, fields, answers) for trial, answers in given.items()}
    return {trial: said for trial, said in read.items() if said}


def corrected(
    entry: Mapping[str, Any], version: JudgeVersion, said: Values, people: Mapping[int, JudgeVerdict]
) -> Corrected:
    """From what the judge and people said, by trial."""
    passes = version.kind == "classify" or (version.kind == "score" and version.threshold is not None)
    share = passes or version.kind == "compare"
    judged = {trial: float(bool(ok)) if passes else value for trial, (value, ok, _) in said.items()}
    truth = {
        trial: float(bool(each.passed)) if passes else each.value
        for trial, each in people.items()
        if trial in judged
    }
    known = Corrected(
        entry, version.judge_id, "pass" if passes else WHAT[version.kind], share,
        (clustered_share if share else clustered_mean)(list(judged.values()), [said[t][2] for t in judged]),
        len(truth),
    )  # fmt: skip
    if not truth:
        return known
    rest = [trial for trial in judged if trial not in truth]
    labels, beside, others = list(truth.values()), [judged[t] for t in truth], [judged[t] for t in rest]
    items = ([said[trial][2] for trial in truth], [said[trial][2] for trial in rest])
    return replace(
        known,
        ppi=_within(ppi_mean(labels, beside, others, clusters=items), share),
        rogan=_rogan(judged, truth, [said[trial][2] for trial in judged]) if passes else None,
        then=ppi_half_width(labels, beside, others, MORE, clusters=items),
    )


def _within(found: Interval, share: bool) -> Interval:
    """A normal interval may leave 0 to 1, a share does not."""
    return (
        replace(found, value=_cut(found.value), low=_cut(found.low), high=_cut(found.high))
        if share
        else found
    )


def _cut(value: float | None) -> float | None:
    return None if value is None else min(1.0, max(0.0, value))


def _rogan(judged: Mapping[int, float], truth: Mapping[int, float], items: Sequence[int]) -> Interval:
    pairs = [(label, judged[trial]) for trial, label in truth.items()]
    values = list(judged.values())
    return rogan_gladen(
        int(sum(values)),
        len(values),
        hits=sum(label == said == 1 for label, said in pairs),
        truly_positive=int(sum(truth.values())),
        rejections=sum(label == said == 0 for label, said in pairs),
        truly_negative=len(truth) - int(sum(truth.values())),
        effect=rogan_gladen_effect(values, [truth.get(trial, nan) for trial in judged], items),
    )
