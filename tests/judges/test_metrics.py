"""Intervals against scipy.stats and against their own promise."""

import math
import random
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from judges.metrics import Z, mean_estimate, proportion, quantile_estimate


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 100, 1319, 100_000])
def test_wilson_is_scipys(n: int) -> None:
    for k in {0, 1, n // 3, n // 2, n - 1, n}:
        ours = proportion(k, n)
        theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert ours.low == pytest.approx(theirs.low, abs=1e-12)
        assert ours.high == pytest.approx(theirs.high, abs=1e-12)
        assert (ours.value, ours.n, ours.correct) == (k / n, n, k)


def test_ends_are_exact() -> None:
    assert proportion(0, 9).low == 0.0
    assert proportion(9, 9).high == 1.0
    assert pytest.approx(stats.norm.ppf(0.975), abs=1e-14) == Z


def test_the_figures_of_the_static_pages() -> None:
    """742 of 1,319 is written 56.3% [53.6, 58.9]."""
    estimate = proportion(742, 1319)
    assert estimate.low is not None and estimate.high is not None
    assert (round(100 * estimate.low, 1), round(100 * estimate.high, 1)) == (53.6, 58.9)


def test_nothing_without_data() -> None:
    for empty in (proportion(0, 0), mean_estimate(0, 0, 0), quantile_estimate([], 0.5)):
        assert (empty.value, empty.low, empty.high, empty.n) == (None, None, None, 0)


def test_mean_is_scipys() -> None:
    chance = random.Random(1)
    values = [chance.gauss(5, 2) for _ in range(40)]
    ours = mean_estimate(math.fsum(values), math.fsum(v * v for v in values), len(values))
    theirs = stats.t.interval(0.95, 39, loc=np.mean(values), scale=stats.sem(values))
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=1e-9)


def test_mean_of_one_has_no_interval() -> None:
    assert mean_estimate(3.0, 9.0, 1).low is None


def test_mean_of_equal_values_has_no_negative_variance() -> None:
    estimate = mean_estimate(0.1 * 3, 0.1 * 0.1 * 3, 3)
    assert estimate.low == pytest.approx(0.1) and estimate.high == pytest.approx(0.1)


@pytest.mark.parametrize("p", [0.5, 0.95])
@pytest.mark.parametrize("n", [1, 5, 6, 58, 59, 72, 73, 100, 1319])
def test_quantile_ranks_cover_and_are_the_tightest(n: int, p: float) -> None:
    """P(l ≤ B < u) ≥ 0.95 with each tail at most 2.5 %, and one rank closer would break a tail."""
    ranks = list(range(1, n + 1))
    estimate = quantile_estimate(ranks, p)
    assert estimate.value == pytest.approx(float(np.quantile(ranks, p)))
    if estimate.low is not None:
        assert stats.binom.cdf(estimate.low - 1, n, p) <= 0.025 < stats.binom.cdf(estimate.low, n, p)
    else:
        assert stats.binom.cdf(0, n, p) > 0.025
    if estimate.high is not None:
        assert stats.binom.sf(estimate.high - 1, n, p) <= 0.025 < stats.binom.sf(estimate.high - 2, n, p)
    else:
        assert stats.binom.sf(n - 1, n, p) > 0.025


def test_import_is_light() -> None:
    code = "import judges.metrics, sys; print('scipy.stats' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
    )


def test_json_shape() -> None:
    assert proportion(1, 2).as_dict().keys() == {"value", "low", "high", "n", "correct"}
    assert mean_estimate(1.0, 1.0, 1).as_dict().keys() == {"value", "low", "high", "n"}
