"""The scale of each part's primary metric, and why parts of different scales have no mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from benchmarks.models import Measure
from benchmarks.scoring import Scale
from judges.models import JudgeVersion
from judges.scorers import SCORERS

SCALELESS = ("latency", "cost", "length")


class NoScale(ValueError):
    """Why the metric cannot be put on 0–100, in words for people."""


@dataclass(frozen=True)
class Counted:
    """What decides the scale of a part: the scorer (or judge) of that name, and how it counts."""

    primary: str
    measure: str
    scorers: Sequence[Mapping[str, Any]]
    judges: Sequence[JudgeVersion]


def scorer_name(scorer: Mapping[str, Any]) -> str:
    return str(scorer.get("name") or scorer["key"])


def scale_of(part: Counted) -> Scale:
    """Raises NoScale where the primary metric is missing, has no known ends, or never passes anything."""
    scorer = next((each for each in part.scorers if scorer_name(each) == part.primary), None)
    if scorer is not None:
        return _scorer_scale(str(scorer["key"]), part.measure)
    judge = next((each for each in part.judges if each.judge.name == part.primary), None)
    if judge is None:
        names = [scorer_name(each) for each in part.scorers] + [each.judge.name for each in part.judges]
        raise NoScale(f"The primary metric is one of {', '.join(names) or 'its scorers (there are none)'}.")
    return _judge_scale(judge, part.measure)


def _scorer_scale(key: str, measure: str) -> Scale:
    if measure == Measure.SHARE:
        return Scale()
    best = float(SCORERS[key].best)
    if key in SCALELESS or not isfinite(best):
        raise NoScale(
            f"{key} has no highest value, so its mean has no place on 0–100. Count the share passed."
        )
    return Scale(0.0, best)


def _judge_scale(judge: JudgeVersion, measure: str) -> Scale:
    name = judge.judge.name
    if judge.kind == "compare":
        raise NoScale(f"Judge {name} compares two runs; it gives a single model no score.")
    if measure == Measure.SHARE:
        if judge.kind == "score" and judge.threshold is None:
            raise NoScale(
                f"Judge {name} scores without a threshold, so nothing passes. Count its mean, or set one."
            )
        return Scale()
    if judge.kind != "score" or judge.minimum is None or judge.maximum is None:
        raise NoScale(f"Judge {name} gives labels, not numbers. Count the share passed.")
    return Scale(judge.minimum, judge.maximum)


def mixed(scales: Sequence[Scale]) -> str:
    """Why these parts have no common mean, or ""."""
    different = list(dict.fromkeys(scales))
    if len(different) < 2:
        return ""
    told = ", ".join(f"part {at} counts on {scale}" for at, scale in enumerate(scales, 1))
    return (
        f"Mixed scales: {told}. A mean over different scales says nothing. Count the share passed in each "
        "part, or means on one scale."
    )
