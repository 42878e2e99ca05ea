"""Metrics: figures over trials, always with n and a 95 % interval. Pure; importing this is light.

Here are the estimates from plain counts and the table METRICS of figures over scored trials.

Sources: Wilson 1927 for proportions; Student's t for means; for quantiles the distribution-free
interval between two order statistics (Conover, Practical Nonparametric Statistics, 3rd ed., §3.2;
Hahn & Meeker, Statistical Intervals, 1991, §5.2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil, floor, sqrt
from statistics import NormalDist
from typing import Any

from scipy.special import bdtr, bdtrik, stdtrit

from evalportal.lib.plugins import PluginTable
from judges.options import read_options

METRICS = PluginTable(
    "metric",
    (
        ("accuracy", "judges.metrics.shares:Accuracy"),
        ("exact_match", "judges.metrics.shares:ExactMatchShare"),
        ("answer_rate", "judges.metrics.shares:AnswerRate"),
        ("mean", "judges.metrics.values:Mean"),
        ("weighted_accuracy", "judges.metrics.weighted:WeightedAccuracy"),
        ("weighted_mean", "judges.metrics.weighted:WeightedMean"),
        ("sd", "judges.metrics.values:StandardDeviation"),
        ("f1", "judges.metrics.labels:LabelF1"),
        ("corpus_bleu", "judges.metrics.corpus:CorpusBleu"),
        ("corpus_chrf", "judges.metrics.corpus:CorpusChrf"),
        ("pass_at_k", "judges.metrics.epochs:PassAtK"),
        ("pass_hat_k", "judges.metrics.epochs:PassHatK"),
        ("majority_vote", "judges.metrics.epochs:MajorityVote"),
    ),
)
CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
Z = NormalDist().inv_cdf(1 - TAIL)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval. No value without data; no bound where n is too small for one.

    `denominator` says what n counts and what was left out; `interval` how the bounds were computed.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    correct: int | None = None
    denominator: str = ""
    interval: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: `correct` only where the figure is a proportion, words only where there are some."""
        optional = {
            name for name in ("correct", "denominator", "interval") if getattr(self, name) in (None, "")
        }
        return {name: value for name, value in asdict(self).items() if name not in optional}


def proportion(k: int, n: int) -> Estimate:
    """k of n, with the Wilson score interval."""
    if n == 0:
        return Estimate(None, None, None, 0, 0)
    share, square = k / n, Z * Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    # At the ends the formula gives exactly 0 and 1, up to rounding.
    low = 0.0 if k == 0 else middle - half
    high = 1.0 if k == n else middle + half
    return Estimate(share, low, high, n, k)


def mean_estimate(total: float, total_squares: float, n: int) -> Estimate:
    """The mean from running sums, with the t interval on its standard error; none for a single value."""
    if n == 0:
        return Estimate(None, None, None, 0)
    mean = total / n
    if n == 1:
        return Estimate(mean, None, None, 1)
    variance = max(0.0, (total_squares - total * mean) / (n - 1))
    half = float(stdtrit(n - 1, 1 - TAIL)) * sqrt(variance / n)
    return Estimate(mean, mean - half, mean + half, n)


def quantile_estimate(sorted_values: Sequence[float], p: float) -> Estimate:
    """The p-quantile (linear between neighbours) of ascending values, between two order statistics.

    The ranks l < u have P(l ≤ B < u) ≥ 0.95 for B ~ Binomial(n, p), each tail at most 2.5 %. A bound
    that would need a rank outside the sample is missing: the data can't give one.
    """
    n = len(sorted_values)
    if n == 0:
        return Estimate(None, None, None, 0)
    place = (n - 1) * p
    below, above = floor(place), ceil(place)
    value = sorted_values[below] + (sorted_values[above] - sorted_values[below]) * (place - below)
    lower, upper = _binomial_quantile(TAIL, n, p), _binomial_quantile(1 - TAIL, n, p) + 1
    low = float(sorted_values[lower - 1]) if lower >= 1 else None
    high = float(sorted_values[upper - 1]) if upper <= n else None
    return Estimate(float(value), low, high, n)


def _binomial_quantile(level: float, n: int, p: float) -> int:
    """The smallest k with P(B ≤ k) ≥ level."""
    k = max(0, ceil(float(bdtrik(level, n, p))))
    return k - 1 if k > 0 and bdtr(k - 1, n, p) >= level else k


def build_metric(key: str, options: Mapping[str, Any] | None = None) -> Any:
    """The TrialMetric of that key. Raises UnknownPlugin, BadOptions (field → message)."""
    kind = METRICS[key]
    return kind(read_options(kind, options or {}))
