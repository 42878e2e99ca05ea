"""Two runs over the same items: is the difference real? Always second minus first.

Choice of test after Dietterich 1998 (Neural Computation 10:1895) for verdicts, Miller 2024
(arXiv 2411.00640, §4.2) for values.
"""

from dataclasses import dataclass, replace
from itertools import combinations
from math import sqrt

import numpy as np
import scipy
from scipy.optimize import brentq
from scipy.special import bdtr

from analysis.stats.intervals import MeanError, mean_error
from analysis.stats.results import (
    EMPTY,
    Difference,
    Floats,
    Interval,
    Labels,
    Significance,
    Values,
    no_interval,
    normal_interval,
    numbers,
    same_length,
    t_p,
)
from judges.metrics import Z

WALD_FROM = 8
"""Pairs that differ. With fewer the Wald interval is far too narrow (none at all gives ±0): Tango's."""
FEW = 25
"""Pairs that differ, below which the page says that they are few."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """A 2 × 2 count of items: `fixed` only the second got right, `broken` only the first."""

    both: int
    fixed: int
    broken: int
    neither: int

    def __post_init__(self) -> None:
        if min(self.both, self.fixed, self.broken, self.neither) < 0:
            raise ValueError("a count of pairs is negative")

    @property
    def n(self) -> int:
        return self.both + self.fixed + self.broken + self.neither

    @property
    def differing(self) -> int:
        return self.fixed + self.broken


def pairs_of(first: Values, second: Values) -> Pairs:
    """Counts two (n,) arrays of verdicts, 0 or 1, item by item. Raises ValueError on anything else."""
    a, b = numbers(first, "first"), numbers(second, "second")
    same_length(first=a, second=b)
    if not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise ValueError("a verdict is 0 or 1")
    counts = np.bincount((2 * a + b).astype(np.int64), minlength=4)
    return Pairs(both=int(counts[3]), fixed=int(counts[1]), broken=int(counts[2]), neither=int(counts[0]))


def all_pairs(verdicts: Floats) -> dict[tuple[int, int], Pairs]:
    """`pairs_of` for every two columns of (n items, m systems), the earlier first, by matrix products.

    Verdicts are 0 or 1, NaN where there is none; a pair counts the items that both have. Raises ValueError.
    """
    known = ~np.isnan(verdicts)
    right = np.where(known, verdicts, 0.0)
    if not ((right == 0) | (right == 1)).all():
        raise ValueError("a verdict is 0 or 1")
    held = known.astype(np.float64)
    both, first, n = (
        product.astype(np.int64) for product in (right.T @ right, right.T @ held, held.T @ held)
    )
    broken = first - both
    fixed = broken.T
    neither = n - both - fixed - broken
    return {
        (i, j): Pairs(int(both[i, j]), int(fixed[i, j]), int(broken[i, j]), int(neither[i, j]))
        for i, j in combinations(range(verdicts.shape[1]), 2)
    }


def paired_binary(pairs: Pairs) -> Difference:
    """The difference of two shares (−1..1) on the same items, with the exact McNemar test.

    Interval: Wald (Fleiss, Levin & Paik 2003, §13.1), error √(f + b − (f − b)²/n) / n; with fewer than
    WALD_FROM pairs that differ, or where all differ one way, Tango's score interval (1998, Statistics in
    Medicine 17:891).
    """
    enough = pairs.differing >= WALD_FROM and wald_error(pairs) > 0
    interval = wald_interval(pairs) if enough else tango_interval(pairs)
    return Difference(interval, mcnemar(pairs.fixed, pairs.broken), pairs.fixed, pairs.broken)


def wald_interval(pairs: Pairs) -> Interval:
    """Second minus first ± z · error, cut at ±1 (Fleiss, Levin & Paik 2003, §13.1).

    No interval where no pair differs: it would be ±0.
    """
    n, method = pairs.n, "Wald, paired"
    if n == 0:
        return no_interval(None, 0, method, EMPTY)
    value = (pairs.fixed - pairs.broken) / n
    error = wald_error(pairs)
    if error == 0:
        return no_interval(value, n, method, "the pairs have no spread")
    found = normal_interval(value, error, n, method, _few(pairs))
    assert found.low is not None and found.high is not None
    return Interval(value, max(-1.0, found.low), min(1.0, found.high), n, method, found.reason)


def wald_error(pairs: Pairs) -> float:
    """Of the difference of shares: √(f + b − (f − b)²/n) / n (Fleiss, Levin & Paik 2003, §13.1)."""
    net = pairs.fixed - pairs.broken
    return sqrt(max(0.0, pairs.differing - net * net / pairs.n)) / pairs.n


def _few(pairs: Pairs) -> str:
    return f"few pairs differ ({pairs.differing})" if pairs.differing < FEW else ""


def tango_interval(pairs: Pairs) -> Interval:
    """All differences that the score test of Tango 1998 does not reject at 5 %; bounds by root finding.

    At 0 that test is McNemar's without correction. It needs no pair that differs.
    """
    n, method = pairs.n, "Tango score, paired"
    if n == 0:
        return no_interval(None, 0, method, EMPTY)
    value = (pairs.fixed - pairs.broken) / n

    def bound(edge: float, z: float) -> float:
        def off(difference: float) -> float:
            return tango_z(pairs, difference) - z

        if value == edge:
            return edge
        return float(brentq(off, *sorted((edge * (1 - 1e-12), value)), xtol=1e-13))

    return Interval(value, bound(-1.0, Z), bound(1.0, -Z), n, method, _few(pairs))


def tango_z(pairs: Pairs, difference: float) -> float:
    """The score statistic for a true difference in −1..1: positive when more was seen. Falls with it.

    The variance is at the most likely share of broken pairs given that difference, a root of
    2n·q² + B·q + C = 0 (Tango 1998, eq. 6).
    """
    n, f, b = pairs.n, pairs.fixed, pairs.broken
    linear = -f - b + (2 * n - f + b) * difference
    constant = -b * difference * (1 - difference)
    share = (sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    seen = f - b - n * difference
    if variance <= 0:
        return 0.0 if seen == 0 else float(np.copysign(np.inf, seen))
    return seen / sqrt(variance)


def mcnemar(fixed: int, broken: int) -> Significance:
    """Exact two-sided test that fixed and broken are equally likely (McNemar 1947; Dietterich 1998).

    Twice the binomial tail of the rarer kind, at most 1. No test where no pair differs.
    """
    if fixed < 0 or broken < 0:
        raise ValueError("a count of pairs is negative")
    n, method = fixed + broken, "exact McNemar"
    if n == 0:
        return Significance(None, 0, method, reason="no pair differs")
    return Significance(min(1.0, 2 * float(bdtr(min(fixed, broken), n, 0.5))), n, method, float(fixed))


def sign_test(differences: Values) -> Significance:
    """Exact two-sided test that a pair is as often positive as negative; zeros left out.

    Arbuthnott 1710; Conover 1999, §3.4. n counts the pairs used. `statistic` = how many are positive.
    """
    d = numbers(differences, "differences")
    found = mcnemar(int((d > 0).sum()), int((d < 0).sum()))
    reason = "" if found.n else (EMPTY if not len(d) else "every difference is 0")
    return Significance(found.p, found.n, "exact sign test", found.statistic, reason)


def paired_mean(first: Values, second: Values, clusters: Labels | None = None) -> Difference:
    """The mean of second − first in the values' unit, with Student's paired t (Miller 2024, §4.2).

    (n,) values each; with `clusters`, the clustered error of the differences. A constant difference
    has neither interval nor p: that would claim certainty from a lack of spread.
    """
    a, b = numbers(first, "first"), numbers(second, "second")
    same_length(first=a, second=b)
    d = b - a
    found = differing_mean(d, clusters)
    method = "paired t" if clusters is None else "paired t, clustered"
    return Difference(found.interval(method), t_test(found, method), int((d > 0).sum()), int((d < 0).sum()))


def differing_mean(differences: Values, clusters: Labels | None = None) -> MeanError:
    """`mean_error`, but without an error where all differences are alike."""
    found = mean_error(differences, clusters)
    if found.error is None or found.error > 1e-12 * max(1.0, abs(found.mean or 0.0)):
        return found
    return replace(found, error=None, reason="every pair differs by the same")


def t_test(found: MeanError, method: str, against: float = 0.0) -> Significance:
    """Two-sided, of the hypothesis that the mean is `against` (Student 1908)."""
    if found.mean is None or found.error is None:
        return Significance(None, found.n, method, reason=found.reason)
    t = (found.mean - against) / found.error
    return Significance(t_p(t, found.freedom), found.n, method, t)


def wilcoxon(differences: Values) -> Significance:
    """Signed-rank test that differences are symmetric about 0 (Wilcoxon 1945), zeros left out.

    scipy.stats.wilcoxon: exact up to 50 pairs without ties, else by the normal approximation. n counts
    the pairs used; `statistic` is the smaller sum of ranks.
    """
    d = numbers(differences, "differences")
    used = d[d != 0]
    if not len(used):
        reason = "every difference is 0" if len(d) else EMPTY
        return Significance(None, 0, "Wilcoxon signed-rank", reason=reason)
    found = scipy.stats.wilcoxon(used)
    return Significance(float(found.pvalue), len(used), "Wilcoxon signed-rank", float(found.statistic))


def mean_of_runs(values: Floats) -> Floats:
    """The mean over a group's runs of an (n items, runs) array, item by item: what groups are paired on."""
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError("one column per run of the group")
    return np.asarray(values.mean(axis=1), dtype=np.float64)
