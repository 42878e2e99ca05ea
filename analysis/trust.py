"""How far a judge says what people say, and what that makes of it. Pure.

A judge's version is uncalibrated on a dataset until FEWEST_PROVISIONAL responses are labelled, then
provisional, and certified from FEWEST_CERTIFIED labels on if Cohen's kappa is at least KAPPA_FLOOR with its
whole 95 % interval.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import atanh, ceil, isfinite
from statistics import median_low
from typing import Any

import numpy as np

from analysis.labelling import MOST_STEPS, read_by
from analysis.stats.agreement import ONE_CATEGORY, Weights, cohen_kappa, kappa_table, krippendorff_alpha
from analysis.stats.results import Interval, no_interval
from judges.kinds.base import JudgeVerdict
from judges.metrics import Estimate, proportion

FEWEST_PROVISIONAL, FEWEST_CERTIFIED, KAPPA_FLOOR = 20, 50, 0.6
PASS, FAIL = "pass", "fail"
FULL = "full agreement: the bound is from the accuracy's Wilson interval"
NO_CATEGORIES = "needs a threshold, or few whole numbers"


class State(StrEnum):
    UNCALIBRATED = "uncalibrated"
    PROVISIONAL = "provisional"
    CERTIFIED = "certified"


def people_say(kind: str, fields: Mapping[str, Any], answers: Sequence[str]) -> JudgeVerdict | None:
    """What several people say of one response, by the rules of a judge's version: the majority, of scores the
    (lower) median. None where they are split, or nothing is an answer of this version."""
    read = [found for answer in answers if (found := read_by(kind, fields, answer))]
    if not read:
        return None
    if kind == "score":
        return read_by(kind, fields, f"{median_low(found.value for found in read):.12g}")
    ranked = Counter(found.answer for found in read).most_common(2)
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return None
    return next(found for found in read if found.answer == ranked[0][0])


@dataclass(frozen=True)
class Rated:
    """A response with what people say of it and what the judge does."""

    run_id: int
    seq: int
    people: JudgeVerdict
    judge: JudgeVerdict


@dataclass(frozen=True)
class Agreement:
    """Of a judge with people. `table` counts responses, a row for what people say, a column for the judge.

    `accuracy` has its Wilson interval; `passing` is the share that people let pass, `judge_passing` the
    judge's of the same responses. No table where the answers are no categories.
    """

    n: int
    categories: Sequence[str]
    table: Sequence[Sequence[int]]
    accuracy: Estimate
    kappa: Interval
    passing: Estimate | None
    judge_passing: Estimate | None
    apart: Sequence[Rated]

    @property
    def state(self) -> State:
        if self.n < FEWEST_PROVISIONAL:
            return State.UNCALIBRATED
        sure = self.kappa.low is not None and self.kappa.low >= KAPPA_FLOOR
        return State.CERTIFIED if sure and self.n >= FEWEST_CERTIFIED else State.PROVISIONAL

    @property
    def labels_needed(self) -> int | None:
        """Beyond those there are, until it is certified if kappa stays as it is; None: not by more labels.

        The bound's distance from kappa, on the scale of its interval, is taken to shrink with the root of n.
        """
        if self.state == State.CERTIFIED:
            return 0
        value, low = self.kappa.value, self.kappa.low
        if self.n < FEWEST_PROVISIONAL or value is None or low is None:
            return FEWEST_CERTIFIED - self.n if self.n < FEWEST_CERTIFIED else None
        if value <= KAPPA_FLOOR:
            return None
        total = ceil(self.n * (_apart(value, low) / _apart(value, KAPPA_FLOOR)) ** 2)
        return max(total, FEWEST_CERTIFIED, self.n + 1) - self.n


def _apart(kappa: float, bound: float) -> float:
    """By Fisher's z, which full agreement has not."""
    return atanh(kappa) - atanh(bound) if kappa < 1 else kappa - bound


def agreement_of(kind: str, fields: Mapping[str, Any], rated: Sequence[Rated]) -> Agreement:
    """A judge that scores agrees where both pass or both fail; without a threshold, on the same number."""
    categories, weights = categories_of(kind, fields)
    people, judge = ([category_of(kind, fields, v) for v in column] for column in _columns(rated))
    table = kappa_table(people, judge, categories) if categories else np.zeros((0, 0))
    same = [a == b for a, b in zip(people, judge, strict=True)]
    accuracy = proportion(sum(same), len(same))
    return Agreement(
        n=len(rated),
        categories=categories,
        table=[[int(count) for count in row] for row in table],
        accuracy=accuracy,
        kappa=_kappa(table, weights, accuracy),
        passing=_passing([each.people for each in rated]),
        judge_passing=_passing([each.judge for each in rated]),
        apart=[each for each, agrees in zip(rated, same, strict=True) if not agrees],
    )


def _columns(rated: Sequence[Rated]) -> tuple[list[JudgeVerdict], list[JudgeVerdict]]:
    return [each.people for each in rated], [each.judge for each in rated]


def categories_of(kind: str, fields: Mapping[str, Any]) -> tuple[list[str], Weights]:
    """Empty where a judge's answers are no categories; and how a miss by some steps counts."""
    if kind == "classify":
        return [label["label"] for label in fields["labels"]], "none"
    if kind == "compare":
        return ["A", "B", "tie"], "none"
    if fields["threshold"] is not None:
        return [PASS, FAIL], "none"
    steps = range(int(fields["minimum"]), int(fields["maximum"]) + 1)
    return ([str(step) for step in steps], "quadratic") if _stepped(fields, len(steps)) else ([], "none")


def _stepped(fields: Mapping[str, Any], steps: int) -> bool:
    return bool(fields["integer"]) and steps <= MOST_STEPS


def category_of(kind: str, fields: Mapping[str, Any], said: JudgeVerdict) -> str:
    """A panel's mean between two whole numbers counts as the nearer one."""
    if kind != "score":
        return said.answer
    if fields["threshold"] is not None:
        return PASS if said.passed else FAIL
    return str(round(said.value)) if fields["integer"] else f"{said.value:g}"


def _kappa(table: Any, weights: Weights, accuracy: Estimate) -> Interval:
    if not len(table):
        return no_interval(None, accuracy.n, "Cohen's kappa", NO_CATEGORIES)
    found = cohen_kappa(table, weights)
    if found.value is None or found.low is not None or accuracy.correct != accuracy.n or accuracy.low is None:
        return found
    shares = np.asarray(table).sum(axis=1) / accuracy.n
    chance = float((shares**2).sum())
    if chance >= 1:
        return no_interval(None, found.n, found.method, ONE_CATEGORY)
    return Interval(1.0, (accuracy.low - chance) / (1 - chance), 1.0, found.n, found.method, FULL)


def _passing(said: Sequence[JudgeVerdict]) -> Estimate | None:
    known = [verdict.passed for verdict in said if verdict.passed is not None]
    return proportion(sum(known), len(known)) if known and len(known) == len(said) else None


def among_people(kind: str, answers: Sequence[Mapping[int, str]]) -> Interval | None:
    """Krippendorff's alpha of people's answers, a mapping from person for each response; None where no
    response has two. Scores are numbers, other answers are only the same or not; of a judge that scores by
    now, labels from before that are left out."""
    if kind == "score":
        answers = [{person: said for person, said in given.items() if _is_number(said)} for given in answers]
    several = [given for given in answers if len(given) > 1]
    if not several:
        return None
    people = sorted({person for given in several for person in given})
    ordered = sorted({answer for given in several for answer in given.values()})
    code = {answer: float(answer) if kind == "score" else at for at, answer in enumerate(ordered)}
    ratings = [[code[given[p]] if p in given else float("nan") for given in several] for p in people]
    return krippendorff_alpha(ratings, "interval" if kind == "score" else "nominal", resamples=500)


def _is_number(answer: str) -> bool:
    try:
        return isfinite(float(answer))
    except ValueError:
        return False
