"""Intervals of one run's figures: proportions, means, means of clustered items, and epochs."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import betaincinv

from analysis.stats.results import (
    EMPTY,
    SINGLE,
    Interval,
    Labels,
    Values,
    codes_of,
    no_interval,
    numbers,
    same_length,
    t_interval_of,
)
from judges.metrics import TAIL, proportion


def wilson(k: int, n: int) -> Interval:
    """k right of n, as a share 0..1, with the score interval (Wilson 1927). None of either at n = 0."""
    _check_counts(k, n)
    found = proportion(k, n)
    return Interval(found.value, found.low, found.high, n, "Wilson", "" if n else EMPTY)


def clopper_pearson(k: int, n: int) -> Interval:
    """k right of n, as a share, with the exact interval (Clopper & Pearson 1934): never below 95 %.

    Bounds are quantiles of Beta(k, n − k + 1) and Beta(k + 1, n − k); 0 and 1 at the ends.
    """
    _check_counts(k, n)
    if n == 0:
        return no_interval(None, 0, "Clopper–Pearson", EMPTY)
    low = float(betaincinv(k, n - k + 1, TAIL)) if k > 0 else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - TAIL)) if k < n else 1.0
    return Interval(k / n, low, high, n, "Clopper–Pearson")


def _check_counts(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is not a count of successes")


@dataclass(frozen=True, slots=True)
class MeanError:
    """A mean, its standard error in the same unit and the degrees of freedom behind it.

    `error` is None with a `reason` where there is no spread to tell it from.
    """

    mean: float | None
    error: float | None
    freedom: int
    n: int
    reason: str = ""

    def interval(self, method: str) -> Interval:
        if self.mean is None or self.error is None:
            return no_interval(self.mean, self.n, method, self.reason)
        return t_interval_of(self.mean, self.error, self.freedom, self.n, method)


def mean_error(values: Values, clusters: Labels | None = None) -> MeanError:
    """s/√n of (n,) values, or with (n,) `clusters` the clustered error (Miller 2024, §2)."""
    x = numbers(values)
    codes, count = codes_of(np.arange(len(x)) if clusters is None else clusters, "clusters")
    same_length(values=x, clusters=codes)
    n = len(x)
    if n == 0:
        return MeanError(None, None, 0, 0, EMPTY)
    mean = float(x.mean())
    if count == 1:
        return MeanError(mean, None, 0, n, "a single cluster has no spread" if n > 1 else SINGLE)
    sums = np.bincount(codes, weights=x - mean, minlength=count)
    return MeanError(mean, sqrt(float(sums @ sums) * count / (count - 1)) / n, count - 1, n)


def t_interval(values: Values) -> Interval:
    """The mean of (n,) values in their unit, with Student's interval on s/√n (Student 1908).

    n = 0: nothing; n = 1: the value without an interval.
    """
    return mean_error(values).interval("Student's t")


def clustered_interval(values: Values, clusters: Labels) -> Interval:
    """The mean of (n,) values whose items come in clusters, such as questions on one text, or epochs.

    Miller 2024 (arXiv 2411.00640), §2.2: the squared error is the sum over clusters of the squared sum
    of residuals, over n². Times G/(G − 1) for G clusters, and with t on G − 1 degrees of freedom
    (Cameron & Miller 2015, J. Human Resources 50:317, §VI), so that clusters of one item each give
    Student's interval exactly. One cluster alone has no interval.
    """
    return mean_error(values, clusters).interval("clustered t")


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the variance of repeated items comes from, in squared units of the values.

    `between` is how much items differ in difficulty, `within` how much one item differs from epoch
    to epoch; `epochs` is the usual number of epochs (n₀ of the analysis of variance, fractional when
    items have different numbers). None with a `reason` where it cannot be told.
    """

    between: float | None
    within: float | None
    items: int
    n: int
    epochs: float | None
    reason: str = ""

    @property
    def share_within(self) -> float | None:
        """The part of a single answer's variance that more epochs average out; None without variance."""
        if self.between is None or self.within is None or self.between + self.within == 0:
            return None
        return self.within / (self.between + self.within)

    def error_with(self, items: int, epochs: float) -> float | None:
        """The standard error of the mean over that many items and epochs (Miller 2024, §3.1)."""
        if self.between is None or self.within is None or items < 1 or epochs < 1:
            return None
        return sqrt((self.between + self.within / epochs) / items)


def spread(values: Values, items: Labels) -> Spread:
    """Within- and between-item variance of (n,) values, item by item.

    One-way random effects by the analysis of variance (Searle, Casella & McCulloch 1992, §3.6):
    within = MSW, between = (MSB − MSW) / n₀, cut off at 0. Without a repeated item, `within` is not
    known; with a single item, `between` is not.
    """
    x = numbers(values)
    codes, count = codes_of(items, "items")
    same_length(values=x, items=codes)
    n = len(x)
    if n == 0:
        return Spread(None, None, 0, 0, None, EMPTY)
    sizes = np.bincount(codes, minlength=count).astype(np.float64)
    if n == count:
        return Spread(None, None, count, n, 1.0, "no item was repeated")
    means = np.bincount(codes, weights=x, minlength=count) / sizes
    within = float(((x - means[codes]) ** 2).sum()) / (n - count)
    if count == 1:
        return Spread(None, within, 1, n, float(n), "a single item")
    usual = (n - float((sizes**2).sum()) / n) / (count - 1)
    mean_square = float((sizes * (means - x.mean()) ** 2).sum()) / (count - 1)
    return Spread(max(0.0, (mean_square - within) / usual), within, count, n, usual)
