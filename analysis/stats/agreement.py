"""How far raters agree beyond chance: judges with people, people with one another.

All coefficients are 1 for full agreement and 0 for what chance alone would give. Intervals of both kappas:
error by linearisation over items (the delta method), bounds on the scale of Fisher's z (Fisher 1921, Metron
1:3; for agreement Lin 1989, Biometrics 45:255). On their own scale they would hold the truth too seldom where
agreement is high, 92 % at kappa 0.9 of 200 items.
"""

from collections.abc import Sequence
from math import atanh, sqrt, tanh
from typing import Literal

import numpy as np
import numpy.typing as npt

from analysis.stats.bootstrap import LEAVE_OUTS, LOST, SEED, bca_interval
from analysis.stats.results import EMPTY, Floats, Interval, Values, no_interval
from judges.metrics import Z

Weights = Literal["none", "linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval"]
ONE_CATEGORY = "all ratings are the same: there is nothing to agree beyond chance"
FEW_ITEMS = 20
AT_ONCE = 50
"""Resamples held in memory together."""


def kappa_table(first: Sequence[object], second: Sequence[object], categories: Sequence[object]) -> Floats:
    """Counts (k, k) of two raters' labels; `categories` in their order. Raises ValueError on others."""
    if len(first) != len(second):
        raise ValueError(f"one label per item each: {len(first):,} and {len(second):,}")
    place = {category: at for at, category in enumerate(categories)}
    table = np.zeros((len(categories), len(categories)))
    for a, b in zip(first, second, strict=True):
        if a not in place or b not in place:
            raise ValueError(f"{(a if a not in place else b)!r} is not one of the categories")
        table[place[a], place[b]] += 1
    return table


def cohen_kappa(table: npt.ArrayLike, weights: Weights = "none") -> Interval:
    """Cohen's kappa of a (k, k) table of counts, rows one rater, columns the other.

    Cohen 1960; weighted 1968; error by Fleiss, Cohen & Everitt 1969 (Psychol. Bull. 72:323). Weights
    say how much a miss by some steps counts, for ordered categories. With fewer than 20 items the
    reason says so; full agreement has no spread, hence no interval.
    """
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or (counts < 0).any():
        raise ValueError("the table is square and holds counts")
    n, method = int(counts.sum()), "Cohen's kappa" + ("" if weights == "none" else f", {weights} weights")
    if n == 0:
        return no_interval(None, 0, method, EMPTY)
    p, credit = counts / n, _credit(len(counts), weights)
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    seen, chance = float((credit * p).sum()), float(rows @ credit @ columns)
    if chance >= 1:
        return no_interval(None, n, method, ONE_CATEGORY)
    kappa = (seen - chance) / (1 - chance)
    margin = (credit @ columns)[:, None] + (rows @ credit)[None, :]
    squares = float((p * (credit - margin * (1 - kappa)) ** 2).sum())
    variance = (squares - (kappa - chance * (1 - kappa)) ** 2) / (n * (1 - chance) ** 2)
    return _interval(kappa, max(0.0, variance), n, method)


def _credit(size: int, weights: Weights) -> Floats:
    """1 on the diagonal, down to 0 in the far corners."""
    if weights == "none" or size == 1:
        return np.eye(size)
    steps = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / (size - 1)
    return np.asarray(1 - (steps if weights == "linear" else steps**2))


def _interval(value: float, variance: float, n: int, method: str) -> Interval:
    """No interval from no spread; small n is told."""
    if n == 1:
        return no_interval(value, n, method, "a single item has no spread")
    if variance <= 1e-15 or abs(value) >= 1:
        return no_interval(value, n, method, "the items have no spread")
    half = Z * sqrt(variance) / (1 - value * value)
    low, high = (tanh(atanh(value) + off) for off in (-half, half))
    return Interval(value, low, high, n, method, "few items" if n < FEW_ITEMS else "")


def fleiss_kappa(counts: npt.ArrayLike) -> Interval:
    """Fleiss' kappa (1971) of an (items, categories) table: how many raters chose each category.

    Every item needs the same number of raters, at least two (ValueError otherwise). Error by
    linearisation over items, as in Gwet 2021 (Educ. Psychol. Meas. 81:781): it holds away from
    kappa = 0, unlike Fleiss' own.
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or (table < 0).any():
        raise ValueError("one row of counts per item")
    n, method = len(table), "Fleiss' kappa"
    if n == 0:
        return no_interval(None, 0, method, EMPTY)
    raters = table.sum(axis=1)
    if raters.min() != raters.max() or raters[0] < 2:
        raise ValueError("each item is rated by the same number of raters, at least two")
    m = float(raters[0])
    agreed = ((table**2).sum(axis=1) - m) / (m * (m - 1))
    shares = table / m
    share = shares.mean(axis=0)
    seen, chance = float(agreed.mean()), float(share @ share)
    if chance >= 1:
        return no_interval(None, n, method, ONE_CATEGORY)
    kappa = (seen - chance) / (1 - chance)
    pull = ((agreed - seen) - 2 * (1 - kappa) * ((shares - share) @ share)) / (1 - chance)
    variance = float((pull**2).sum()) / (n * (n - 1)) if n > 1 else 0.0
    return _interval(kappa, variance, n, method)


def krippendorff_alpha(
    ratings: Sequence[Values], level: Level = "nominal", *, resamples: int = 2000, seed: int = SEED
) -> Interval:
    """Krippendorff's alpha of (raters, items) numbers, NaN where a rater gave none; any number of raters.

    Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"; BCa interval by drawing items. n
    counts items with two ratings or more, the only ones that say something.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError("one row of ratings per rater")
    method = f"Krippendorff's alpha, {level}"
    known = ~np.isnan(table)
    table, known = table[:, known.sum(axis=0) > 1], known[:, known.sum(axis=0) > 1]
    n = table.shape[1]
    if n == 0:
        return no_interval(None, 0, method, "no item has two ratings")
    values, codes = np.unique(table[known], return_inverse=True)
    units = np.zeros((n, len(values)))
    np.add.at(units, (np.nonzero(known)[1], codes), 1)
    if len(values) == 1:
        return no_interval(None, n, method, ONE_CATEGORY)
    alpha = float(_alphas(units, values, level, np.ones((1, n)))[0])
    if n == 1:
        return no_interval(alpha, 1, method, "a single item has no spread")
    # Items that were rated alike are drawn together: many items have few patterns.
    patterns, place = np.unique(units, axis=0, return_inverse=True)
    place = place.reshape(-1)
    replicates = _drawn_alphas(
        patterns, np.bincount(place), values, level, resamples, np.random.default_rng(seed)
    )
    if len(replicates) < (1 - LOST) * resamples:
        return no_interval(alpha, n, method, "too few items differ for an interval")
    blocks = np.arange(n) * min(n, LEAVE_OUTS) // n
    without = np.tile(np.bincount(place).astype(np.float64), (blocks[-1] + 1, 1))
    np.subtract.at(without, (blocks, place), 1)
    found = bca_interval(alpha, replicates, _alphas(patterns, values, level, without), n)
    reason = found.reason or ("few items" if n < FEW_ITEMS else "")
    return Interval(alpha, found.low, found.high, n, method, reason)


def _drawn_alphas(
    patterns: Floats,
    counts: npt.NDArray[np.intp],
    values: Floats,
    level: Level,
    resamples: int,
    chance: np.random.Generator,
) -> Floats:
    """Of items drawn with replacement, `counts` of each pattern, a few resamples at a time; those without
    spread left out."""
    n, found = int(counts.sum()), []
    for start in range(0, resamples, AT_ONCE):
        size = min(AT_ONCE, resamples - start)
        drawn = chance.multinomial(n, counts / n, size=size)
        found.append(_alphas(patterns, values, level, drawn.astype(np.float64)))
    alphas = np.concatenate(found)
    return alphas[np.isfinite(alphas)]


def _alphas(units: Floats, values: Floats, level: Level, weights: Floats) -> Floats:
    """(r,) from (items, values) counts of ratings and (r, items) weights of the items; NaN without spread."""
    if level == "ordinal" and len(weights) > 1:  # its distances depend on the ratings drawn
        return np.concatenate([_alphas(units, values, level, weight[None]) for weight in weights])
    totals = weights @ units
    distance = _distance(values, totals[0], level)
    apart = weights @ (((units @ distance) * units).sum(axis=1) / (units.sum(axis=1) - 1))
    expected = ((totals @ distance) * totals).sum(axis=1) / np.maximum(totals.sum(axis=1) - 1, 1)
    return np.where(expected > 0, 1 - apart / np.where(expected > 0, expected, 1), np.nan)


def _distance(values: Floats, totals: Floats, level: Level) -> Floats:
    """Squared distance between values; on the ordinal level by the ratings that lie between them."""
    if level == "nominal":
        return 1 - np.eye(len(values))
    places = values if level == "interval" else np.cumsum(totals) - totals / 2
    return np.asarray(np.subtract.outer(places, places) ** 2)
