"""Intervals for figures without a formula: BCa, over items or whole clusters of them."""

from collections.abc import Callable
from math import isfinite

import numpy as np
from scipy.special import ndtr, ndtri

from analysis.stats.results import (
    EMPTY,
    SINGLE,
    Floats,
    Integers,
    Interval,
    Labels,
    codes_of,
    no_interval,
)
from judges.metrics import TAIL

Statistic = Callable[[Integers], float]
"""A figure of the items at these positions (with repeats). NaN where it cannot be computed."""

RESAMPLES = 2000
SEED = 20240811
"""Fixed, so that a page shows the same interval each time it is loaded."""
LEAVE_OUTS = 200
LOST = 0.05
METHOD = "bootstrap BCa"


def bootstrap(
    statistic: Statistic,
    n: int,
    *,
    clusters: Labels | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """A statistic of n items with its bias-corrected, accelerated interval (Efron 1987, JASA 82:171).

    `statistic` is given positions 0..n−1 drawn with replacement; with (n,) `clusters`, whole clusters
    are drawn. The acceleration comes from a jackknife in at most 200 blocks (scipy's needs n² work).
    Costs `resamples` + 200 calls. Resamples without a value are left out; past 5 % there is no interval.
    """
    if n == 0:
        return no_interval(None, 0, METHOD, EMPTY)
    units = _units(n, clusters)
    value = float(statistic(np.arange(n)))
    if not isfinite(value):
        return no_interval(None, n, METHOD, "the figure cannot be computed from these items")
    if len(units) == 1:
        return no_interval(value, n, METHOD, SINGLE if n == 1 else "a single cluster has no spread")
    drawn = _replicates(statistic, units, resamples, np.random.default_rng(seed))
    known = drawn[np.isfinite(drawn)]
    if len(known) < (1 - LOST) * resamples:
        return no_interval(value, n, METHOD, "the figure cannot be computed from most resamples of the items")
    return bca_interval(value, known, _leave_out(statistic, units), n)


def _units(n: int, clusters: Labels | None) -> list[Integers]:
    """What is drawn: positions of each cluster, or of each item."""
    if clusters is None:
        return list(np.arange(n).reshape(n, 1))
    codes, count = codes_of(clusters, "clusters")
    if len(codes) != n:
        raise ValueError(f"one cluster per item: {len(codes):,} for {n:,}")
    order = np.argsort(codes, kind="stable")
    return list(np.split(order, np.cumsum(np.bincount(codes, minlength=count))[:-1]))


def _replicates(
    statistic: Statistic, units: list[Integers], resamples: int, chance: np.random.Generator
) -> Floats:
    whole = np.concatenate(units)
    single = len(whole) == len(units)
    found = np.empty(resamples)
    for at in range(resamples):
        drawn = chance.integers(0, len(units), len(units))
        found[at] = statistic(whole[drawn] if single else np.concatenate([units[unit] for unit in drawn]))
    return found


def _leave_out(statistic: Statistic, units: list[Integers]) -> Floats:
    """The jackknife: the figure without each block of units in turn."""
    blocks = np.array_split(np.arange(len(units)), min(len(units), LEAVE_OUTS))
    whole = np.concatenate(units)
    owner = np.repeat(np.arange(len(units)), [len(unit) for unit in units])
    found = [statistic(whole[(owner < block[0]) | (owner > block[-1])]) for block in blocks]
    return np.array(found, dtype=np.float64)


def bca_interval(value: float, replicates: Floats, left_out: Floats, n: int) -> Interval:
    """BCa from finite replicates and leave-one-out values (Efron & Tibshirani 1993, eq. 14.9–14.15)."""
    if replicates.min() == replicates.max():
        return no_interval(value, n, METHOD, "every resample gives the same figure")
    below = (float((replicates < value).sum()) + float((replicates == value).sum()) / 2) / len(replicates)
    if not 0 < below < 1:
        return no_interval(value, n, METHOD, "every resample lies on one side of the figure")
    shift, skew = float(ndtri(below)), _acceleration(left_out)
    levels = []
    for z in (ndtri(TAIL), ndtri(1 - TAIL)):
        levels.append(float(ndtr(shift + (shift + z) / (1 - skew * (shift + z)))))
    low, high = np.quantile(replicates, levels)
    return Interval(value, float(low), float(high), n, METHOD)


def _acceleration(left_out: Floats) -> float:
    """0 where a leave-out has no value or all agree."""
    if not np.isfinite(left_out).all():
        return 0.0
    off = left_out.mean() - left_out
    squares = float((off**2).sum())
    return float((off**3).sum()) / (6 * squares**1.5) if squares > 0 else 0.0
