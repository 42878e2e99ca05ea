"""How far the judges of a run agree with one another: a panel's members, and judges of one kind."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache

from analysis.stats.agreement import (
    Level,
    Weights,
    cohen_kappa,
    fleiss_kappa,
    kappa_table,
    krippendorff_alpha,
)
from analysis.stats.results import Interval, no_interval
from analysis.trust import FAIL, NO_CATEGORIES, PASS, categories_of, category_of
from judges.kinds.base import JudgeVerdict
from judges.metrics import Estimate, proportion
from runs.models import Run, Score

BY_PASS = {"labels": [{"label": PASS}, {"label": FAIL}]}
KEPT_S = 24 * 3600
RESAMPLES = 500
STEPS = 100  # of a judge's range, to which its scores are rounded for alpha


@dataclass(frozen=True)
class Raters:
    """Judges whose answers are comparable: by name, in order, and how to read what they say."""

    title: str
    names: Sequence[str]
    kind: str
    fields: Mapping[str, Any]
    by_pass: bool = False


@dataclass(frozen=True)
class Among:
    """`same` and `kappa` (Cohen's of two, Fleiss' of more) are over the responses that all have a verdict on,
    `partly` more have one of some of them. `alpha` is over all with two verdicts or more."""

    title: str
    names: Sequence[str]
    same: Estimate
    partly: int
    kappa: Interval
    alpha: Interval


def judges_agree(run: Run) -> list[Among]:
    """Of each panel, then of several judges of a kind. Two queries, kept for this state of the run."""
    raters = raters_of(run)
    if not raters:
        return []
    key = f"agree:{run.pk}:{run.sequence}"
    found: list[Among] | None = cache.get(key)
    if found is None:
        said = _said(run, {name for each in raters for name in each.names})
        found = [among(each, [said[name] for name in each.names]) for each in raters]
        cache.set(key, found, KEPT_S)
    return found


def raters_of(run: Run) -> list[Raters]:
    """Panels by their members; then those that pass or fail, and those that compare with one opponent."""
    entries = run.config.get("judges", [])
    if len(entries) < 2:
        return []
    frozen = {each.pk: each.config["judge"] for each in run.judgings.only("pk", "judged_id", "config")}
    members: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in entries:
        if entry["panel"]:
            members[entry["panel"]].append(entry)
    found = [
        Raters(panel, [each["name"] for each in of], of[0]["kind"], frozen[of[0]["judging"]])
        for panel, of in members.items()
        if len(of) > 1 and of[0]["judging"] in frozen
    ]
    alone = [entry for entry in entries if not entry["panel"]]
    passing = [entry["name"] for entry in alone if _passes(entry, entries, frozen)]
    if len(passing) > 1:
        found.append(Raters("Judges that pass or fail", passing, "classify", BY_PASS, by_pass=True))
    opponents: dict[int, list[str]] = defaultdict(list)
    for entry in alone:
        if entry["kind"] == "compare":
            opponents[entry["opponent"]].append(entry["name"])
    found += [
        Raters(f"Judges that compare with #{pk}", names, "compare", {})
        for pk, names in opponents.items()
        if len(names) > 1
    ]
    return found


def _passes(
    entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], frozen: Mapping[int, Mapping[str, Any]]
) -> bool:
    """A panel has no judging of its own: its first member's counts."""
    pk = entry["judging"] or next((e["judging"] for e in entries if e["panel"] == entry["name"]), None)
    scored = entry["kind"] == "score" and frozen.get(pk or 0, {}).get("threshold") is not None
    return entry["kind"] == "classify" or scored


Verdicts = dict[int, JudgeVerdict]  # by trial


def _said(run: Run, names: set[str]) -> dict[str, Verdicts]:
    found: dict[str, Verdicts] = defaultdict(dict)
    rows = Score.objects.filter(run=run, scorer__in=names, value__isnull=False).order_by()
    for scorer, trial, value, passed, answer in rows.values_list(
        "scorer", "trial_id", "value", "passed", "answer"
    ):
        found[scorer][trial] = JudgeVerdict(value or 0.0, passed, answer)
    return found


def among(raters: Raters, said: Sequence[Verdicts]) -> Among:
    """From what each rater says, by trial."""
    trials = sorted({trial for each in said for trial in each})
    counts = [sum(trial in each for each in said) for trial in trials]
    common = [trial for trial, n in zip(trials, counts, strict=True) if n == len(said)]
    categories, weights = categories_of(raters.kind, raters.fields)
    told = [[_answer(raters, each[trial]) for trial in common] for each in said]
    alike = sum(len(set(answers)) == 1 for answers in zip(*told, strict=True))
    return Among(
        title=raters.title,
        names=raters.names,
        same=proportion(alike, len(common)),
        partly=len(trials) - len(common),
        kappa=_kappa(told, categories, weights, len(common)),
        alpha=_alpha(raters, said, trials),
    )


def _answer(raters: Raters, said: JudgeVerdict) -> str:
    if raters.by_pass:
        return PASS if said.passed else FAIL
    return category_of(raters.kind, raters.fields, said)


def _kappa(told: Sequence[Sequence[str]], categories: Sequence[str], weights: Weights, n: int) -> Interval:
    """Fleiss' has no weights, so more than two judges that score need a threshold."""
    two = len(told) == 2
    method = "Cohen's kappa" if two else "Fleiss' kappa"
    if not categories or (weights != "none" and not two):
        return no_interval(None, n, method, NO_CATEGORIES)
    if two:
        return cohen_kappa(kappa_table(told[0], told[1], categories), weights)
    if not n:
        return no_interval(None, 0, method, "no response has a verdict of every judge")
    return fleiss_kappa([[answers.count(each) for each in categories] for answers in zip(*told, strict=True)])


def _alpha(raters: Raters, said: Sequence[Verdicts], trials: Sequence[int]) -> Interval:
    nothing = float("nan")
    level: Level = "interval" if raters.kind == "score" else "nominal"
    code: dict[str, float] = {}

    def number(verdict: JudgeVerdict) -> float:
        if raters.kind == "score":
            low, high = raters.fields["minimum"], raters.fields["maximum"]
            return float(round((verdict.value - low) / ((high - low) or 1) * STEPS))
        return code.setdefault(_answer(raters, verdict), float(len(code)))

    ratings = [[number(each[t]) if t in each else nothing for t in trials] for each in said]
    return krippendorff_alpha(ratings, level, resamples=RESAMPLES)
