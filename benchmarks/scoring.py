"""The overall score from its parts, and the difference of two systems over them. Pure; shares as 0..1."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import numpy as np

from analysis.stats.paired import all_pairs, paired_binary, paired_mean, pairs_of
from analysis.stats.results import Difference, Floats, Integers, Interval, Significance, no_interval, normal_p
from judges.metrics import Estimate, Z

METHOD = "weighted, parts independent"


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a primary metric lies; figures are moved to 0..1 by it."""

    low: float = 0.0
    high: float = 1.0

    def moved(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def __str__(self) -> str:
        return f"{self.low:g}–{self.high:g}"


@dataclass(frozen=True, slots=True)
class Weighted:
    """A part's figure, already within 0..1, and what it counts."""

    figure: Interval
    weight: float


def interval_of(estimate: Estimate, scale: Scale, method: str) -> Interval:
    """An estimate in the metric's own unit as an interval within 0..1; a mean's bounds are cut there."""
    if estimate.value is None:
        return no_interval(None, 0, method, "no data")
    value = scale.moved(estimate.value)
    if estimate.low is None or estimate.high is None:
        return no_interval(value, estimate.n, method, "a single value has no spread")
    low, high = max(0.0, scale.moved(estimate.low)), min(1.0, scale.moved(estimate.high))
    return Interval(value, low, high, estimate.n, method)


def shares(weights: Sequence[float]) -> list[float]:
    """Weights so that they sum to 1."""
    total = sum(weights)
    return [weight / total for weight in weights]


def overall(parts: Sequence[Weighted]) -> Interval:
    """The weighted mean of independent parts, bounds from the parts' own (Zou & Donner 2008, Statistics in
    Medicine 27:1693): θ − √Σ w²(p − l)², θ + √Σ w²(u − p)². Of a single part it is that part's interval.
    """
    n = sum(part.figure.n for part in parts)
    values = [part.figure.value for part in parts]
    if not parts or any(value is None for value in values):
        return no_interval(None, n, METHOD, "a part has no figure")
    if len(parts) == 1:
        return parts[0].figure
    weights = shares([part.weight for part in parts])
    value = sum(weight * (part.figure.value or 0.0) for weight, part in zip(weights, parts, strict=True))
    lower = upper = 0.0
    for weight, part in zip(weights, parts, strict=True):
        figure = part.figure
        if figure.value is None or figure.low is None or figure.high is None:
            return no_interval(value, n, METHOD, figure.reason or "a part has no interval")
        lower += (weight * (figure.value - figure.low)) ** 2
        upper += (weight * (figure.high - figure.value)) ** 2
    return Interval(value, max(0.0, value - sqrt(lower)), min(1.0, value + sqrt(upper)), n, METHOD)


@dataclass(frozen=True, slots=True)
class Column:
    """One system on one part: ascending `keys` of items and their `scores` within 0..1, NaN unscored."""

    keys: Integers
    scores: Floats
    binary: bool


@dataclass(frozen=True, slots=True)
class PartPair:
    """Two systems on the items of a part that both have scored."""

    first: Floats
    second: Floats
    binary: bool
    weight: float
    keys: Integers

    @property
    def n(self) -> int:
        return len(self.first)

    def difference(self) -> Difference:
        if self.binary:
            return paired_binary(pairs_of(self.first, self.second))
        return paired_mean(self.first, self.second)


def paired(first: Column, second: Column, weight: float) -> PartPair:
    """On the items that both have scored."""
    if np.array_equal(first.keys, second.keys):
        keys, a, b = first.keys, first.scores, second.scores
    else:
        keys, at, there = np.intersect1d(first.keys, second.keys, assume_unique=True, return_indices=True)
        a, b = first.scores[at], second.scores[there]
    known = ~(np.isnan(a) | np.isnan(b))
    return PartPair(a[known], b[known], first.binary and second.binary, weight, keys[known])


def all_differences(
    systems: Sequence[Sequence[Column]], weights: Sequence[float]
) -> dict[tuple[int, int], Difference]:
    """`difference` of every two systems, the later minus the earlier; of verdicts on one part at once."""
    wanted = list(combinations(range(len(systems)), 2))
    alone = [columns[0] for columns in systems] if len(weights) == 1 else []
    if wanted and alone and all(column.binary for column in alone):
        return {pair: paired_binary(found) for pair, found in all_pairs(side_by_side(alone)).items()}
    return {
        (i, j): difference(
            [paired(a, b, weight) for a, b, weight in zip(systems[i], systems[j], weights, strict=True)]
        )
        for i, j in wanted
    }


def side_by_side(columns: Sequence[Column]) -> Floats:
    """(items of any, columns), NaN where a column lacks the item."""
    first = columns[0].keys
    if all(np.array_equal(column.keys, first) for column in columns):
        return np.stack([column.scores for column in columns], axis=1)
    keys = np.unique(np.concatenate([column.keys for column in columns]))
    found = np.full((len(keys), len(columns)), np.nan)
    for at, column in enumerate(columns):
        found[np.searchsorted(keys, column.keys), at] = column.scores
    return found


def difference(parts: Sequence[PartPair]) -> Difference:
    """Second minus first. One part: exact McNemar, or the paired t. Several: the weighted sum of the parts'
    differences with its normal test, error √Σ w² s²/n of independent parts (Miller 2024, §4.2)."""
    if len(parts) == 1:
        return parts[0].difference()
    n = sum(part.n for part in parts)
    fixed, broken = (sum(getattr(part.difference(), name) for part in parts) for name in ("fixed", "broken"))
    if not parts or any(part.n < 2 for part in parts):
        why = "a part has fewer than two items in common"
        return Difference(
            no_interval(None, n, METHOD, why), Significance(None, n, METHOD, reason=why), fixed, broken
        )
    value = variance = 0.0
    for weight, part in zip(shares([part.weight for part in parts]), parts, strict=True):
        change = part.second - part.first
        value += weight * float(change.mean())
        variance += weight**2 * float(change.var(ddof=1)) / part.n
    if variance == 0:
        why = "no item differs" if value == 0 else "every pair differs by the same"
        found = no_interval(value, n, METHOD, why)
        return Difference(found, Significance(None, n, METHOD, reason=why), fixed, broken)
    error = sqrt(variance)
    interval = Interval(value, value - Z * error, value + Z * error, n, METHOD)
    return Difference(
        interval, Significance(normal_p(value / error), n, METHOD, value / error), fixed, broken
    )
