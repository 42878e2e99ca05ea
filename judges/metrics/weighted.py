"""Means in which some items count more than others, by the weight that the dataset gives each."""

from collections.abc import Hashable, Sequence
from dataclasses import astuple, dataclass
from math import sqrt

import numpy as np
from scipy.special import stdtrit

from judges.metrics import TAIL, Estimate, proportion
from judges.metrics.trials import (
    ClusterOptions,
    ScoredTrial,
    TrialMetric,
    clusters_of,
    denominator,
    described,
    scored_only,
)

WEIGHTED = "t interval, weighted standard error"
CLUSTERED = f"{WEIGHTED}, clustered"


@dataclass(frozen=True, slots=True)
class WeightSums:
    """Of n trials in g clusters with weights w and values x: Σw, Σwx and Σw² over trials, and over clusters
    with W = Σw and X = Σwx the sums ΣW², ΣWX and ΣX². Sums of disjoint clusters add up."""

    n: int
    groups: int
    weight: float
    total: float
    squares: float
    weight_squares: float
    products: float
    total_squares: float

    def __add__(self, other: "WeightSums") -> "WeightSums":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return WeightSums(*(one + two for one, two in pairs))

    @property
    def effective(self) -> float:
        """As many trials of equal weight say as much: (Σw)² / Σw² (Kish 1965, §11.7)."""
        return self.weight**2 / self.squares if self.squares else 0.0

    @property
    def words(self) -> str:
        return (
            f"of weight {shortly(self.weight)} together, as good as {shortly(self.effective)} of equal weight"
        )


def shortly(value: float) -> str:
    """1,234 or 17.1"""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


NO_SUMS = WeightSums(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def of_cluster(n: int, weight: float, total: float) -> WeightSums:
    """Of one cluster of n trials of the same weight, with the sum of their values."""
    w, x = n * weight, weight * total
    return WeightSums(n, 1, w, x, n * weight**2, w * w, w * x, x * x)


def weight_sums(
    values: Sequence[float], weights: Sequence[float], clusters: Sequence[Hashable]
) -> WeightSums:
    """Of trials beside each other; weights above 0."""
    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    at = [places[cluster] for cluster in clusters]
    w, x = np.asarray(weights, dtype=float), np.asarray(values, dtype=float)
    by_weight = np.bincount(at, w, minlength=len(places)) if at else np.zeros(0)
    by_total = np.bincount(at, w * x, minlength=len(places)) if at else np.zeros(0)
    return WeightSums(
        len(at), len(places), float(w.sum()), float((w * x).sum()), float(w @ w),
        float(by_weight @ by_weight), float(by_weight @ by_total), float(by_total @ by_total),
    )  # fmt: skip


def weighted_mean(sums: WeightSums, *, share: bool = False) -> Estimate:
    """Σwx / Σw with a t interval, G − 1 degrees of freedom, on the linearised error of a ratio:

    SE² = G/(G−1) · Σ_g (X_g − m W_g)² / (Σw)² (Cochran 1977, §6.12; Särndal et al. 1992, §5.6), which is the
    clustered standard error where all weights are alike. A share is cut to 0..1; where all are 0 or all 1
    the spread says nothing: then Wilson over as many clusters of equal weight as say as much.
    """
    if not sums.n:
        return Estimate(None, None, None, 0)
    mean = sums.total / sums.weight
    if share and (sums.total == 0 or abs(sums.total - sums.weight) < 1e-9 * sums.weight):
        size = max(1, int(sums.weight**2 / sums.weight_squares + 1e-9))
        found = proportion(size * round(mean), size)
        return Estimate(round(mean), found.low, found.high, sums.n, interval="Wilson over effective items")
    if sums.groups < 2:
        return Estimate(mean, None, None, sums.n)
    spread = sums.total_squares - 2 * mean * sums.products + mean * mean * sums.weight_squares
    error = sqrt(sums.groups / (sums.groups - 1) * max(0.0, spread)) / sums.weight
    half = float(stdtrit(sums.groups - 1, 1 - TAIL)) * error
    low, high = mean - half, mean + half
    if share:
        low, high = max(0.0, low), min(1.0, high)
    return Estimate(mean, low, high, sums.n, interval=WEIGHTED if sums.groups == sums.n else CLUSTERED)


class _Weighted(TrialMetric[ClusterOptions]):
    def estimated(
        self,
        counted: Sequence[ScoredTrial],
        values: Sequence[float],
        trials: Sequence[ScoredTrial],
        *,
        share: bool,
    ) -> Estimate:
        weights = [trial.weight for trial in counted]
        sums = weight_sums(values, weights, clusters_of(counted, self.options.cluster))
        found = weighted_mean(sums, share=share)
        noun = f"scored trials {sums.words}" if counted else "scored trials"
        return described(found, denominator(len(counted), noun, trials), found.interval)


class WeightedAccuracy(_Weighted):
    key = "weighted_accuracy"
    title = "Weighted accuracy"
    description = "The share of the items' weight that passed: each trial counts by its item's weight."

    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        counted = [trial for trial in scored_only(trials) if trial.passed is not None]
        return self.estimated(counted, [float(bool(trial.passed)) for trial in counted], trials, share=True)


class WeightedMean(_Weighted):
    key = "weighted_mean"
    title = "Weighted mean score"
    description = "The mean of the values in which each trial counts by its item's weight."
    unit = "value"

    def compute(self, trials: Sequence[ScoredTrial]) -> Estimate:
        counted = scored_only(trials)
        return self.estimated(counted, [float(trial.value or 0) for trial in counted], trials, share=False)
