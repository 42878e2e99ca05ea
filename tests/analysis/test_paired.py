"""Paired differences and their tests: published tables, scipy, enumeration, coverage, type-I error."""

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from analysis.stats.paired import (
    WALD_FROM,
    Pairs,
    all_pairs,
    mcnemar,
    mean_of_runs,
    paired_binary,
    paired_mean,
    pairs_of,
    sign_test,
    tango_interval,
    tango_z,
    wald_interval,
    wilcoxon,
)
from judges.metrics import Z

COUNT = st.integers(0, 40)
PAIRS = st.builds(Pairs, COUNT, COUNT, COUNT, COUNT)


def test_the_figures_of_the_static_page() -> None:
    """B − A = +17.4 pts [14.7, 20.0], p < 0.001, 1,319 pairs, 293 fixed, 64 broken."""
    found = paired_binary(Pairs(both=222, fixed=293, broken=64, neither=740))
    assert found.interval.low is not None and found.interval.high is not None
    assert round(100 * (found.interval.value or 0), 1) == 17.4
    assert (round(100 * found.interval.low, 1), round(100 * found.interval.high, 1)) == (14.7, 20.0)
    assert found.interval.n == 1319 and (found.fixed, found.broken) == (293, 64)
    assert found.test.p == pytest.approx(3.928874710490944e-36, rel=1e-9)  # statsmodels 0.15
    assert found.shown and found.interval.method == "Wald, paired"


def test_published_table() -> None:
    """Airway reactivity before and after transplantation, 1, 1, 7, 12: Fagerland, Lydersen & Laake 2014."""
    pairs = Pairs(both=1, fixed=7, broken=1, neither=12)
    wald, tango = wald_interval(pairs), tango_interval(pairs)
    assert (wald.low, wald.high) == pytest.approx((0.052, 0.520), abs=5e-4)
    assert (tango.low, tango.high) == pytest.approx((0.026, 0.517), abs=5e-4)
    assert mcnemar(7, 1).p == pytest.approx(0.0703125, abs=1e-12)


def test_mcnemar_is_scipys_and_symmetric() -> None:
    for fixed, broken in product(range(0, 30, 3), range(0, 30, 4)):
        ours = mcnemar(fixed, broken)
        if fixed + broken:
            assert ours.p == pytest.approx(stats.binomtest(fixed, fixed + broken).pvalue, abs=1e-12)
            assert ours.p == mcnemar(broken, fixed).p


def test_mcnemar_is_the_enumeration_of_all_signs() -> None:
    fixed, broken = 9, 2
    extreme = sum(comb(11, k) for k in range(12) if abs(k - 5.5) >= abs(fixed - 5.5))
    assert mcnemar(fixed, broken).p == pytest.approx(extreme / 2**11, abs=1e-15)


@given(PAIRS, st.floats(-0.9, 0.9))
def test_tango_is_at_the_most_likely_share(pairs: Pairs, difference: float) -> None:
    """The closed root equals a numerical search for the likelihood's maximum."""
    if not 0 < pairs.differing < pairs.n:
        return
    f, b, n = pairs.fixed, pairs.broken, pairs.n
    low, high = max(0.0, -difference), (1 - difference) / 2

    def unlikely(q: float) -> float:
        kept = ((f, q + difference), (b, q), (n - f - b, 1 - 2 * q - difference))
        return -sum(k * np.log(max(p, 1e-300)) for k, p in kept if k)

    best = optimize.minimize_scalar(
        unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    ).x
    variance = n * (2 * best + difference - difference**2)
    if variance < 1e-6:
        return
    seen = (f - b - n * difference) / np.sqrt(variance)
    assert tango_z(pairs, difference) == pytest.approx(seen, rel=1e-3, abs=1e-3)


@given(PAIRS)
def test_tango_bounds_are_where_the_test_just_rejects(pairs: Pairs) -> None:
    found = tango_interval(pairs)
    if found.low is None or found.high is None or found.value is None:
        assert pairs.n == 0
        return
    assert -1 <= found.low <= found.value <= found.high <= 1
    if found.low > -1:
        assert tango_z(pairs, found.low) == pytest.approx(Z, abs=1e-6)
    if found.high < 1:
        assert tango_z(pairs, found.high) == pytest.approx(-Z, abs=1e-6)


@given(PAIRS)
def test_swapping_the_runs_mirrors_everything(pairs: Pairs) -> None:
    there = paired_binary(pairs)
    back = paired_binary(Pairs(pairs.both, pairs.broken, pairs.fixed, pairs.neither))
    assert there.test.p == back.test.p and there.shown == back.shown
    if there.interval.low is not None and back.interval.high is not None:
        assert there.interval.low == pytest.approx(-back.interval.high, abs=1e-9)


def trinomial(n: int, fixed: float, broken: float) -> list[tuple[float, Pairs]]:
    """Every outcome of n pairs that is not hopelessly rare, with its probability."""
    found = []
    for k in range(n + 1):
        share = float(stats.binom.pmf(k, n, fixed + broken))
        if share > 1e-7:
            chances = stats.binom.pmf(np.arange(k + 1), k, fixed / (fixed + broken)) * share
            found += [(float(p), Pairs(0, f, k - f, n - k)) for f, p in enumerate(chances) if p > 1e-8]
    return found


@pytest.mark.parametrize("fixed, broken", [(0.2, 0.2), (0.22, 0.05), (0.1, 0.05), (0.05, 0.05), (0.3, 0.01)])
def test_binary_interval_covers(fixed: float, broken: float) -> None:
    """Exactly, by summing over every outcome of 200 pairs."""
    held = 0.0
    for chance, pairs in trinomial(200, fixed, broken):
        found = wald_interval(pairs) if pairs.differing >= WALD_FROM else tango_interval(pairs)
        held += chance * ((found.low or -1) <= fixed - broken <= (found.high or 1))
    assert 0.94 <= held <= 0.96


@pytest.mark.parametrize("each", [0.01, 0.05, 0.2])
def test_mcnemar_rejects_the_equal_seldom(each: float) -> None:
    rejected = sum(
        chance
        for chance, pairs in trinomial(200, each, each)
        if (mcnemar(pairs.fixed, pairs.broken).p or 1) < 0.05
    )
    assert rejected <= 0.05


def test_few_differing_pairs_are_told() -> None:
    few = paired_binary(Pairs(100, 3, 1, 96))
    assert few.interval.method == "Tango score, paired" and few.interval.reason == "few pairs differ (4)"
    none = paired_binary(Pairs(50, 0, 0, 50))
    assert none.interval.value == 0 and none.interval.low is not None and none.interval.low < 0
    assert not none.shown and (none.test.p, none.test.reason) == (None, "no pair differs")
    assert wald_interval(Pairs(50, 0, 0, 50)).reason == "the pairs have no spread"


def test_no_pairs_at_all() -> None:
    found = paired_binary(Pairs(0, 0, 0, 0))
    assert (found.interval.value, found.interval.low, found.interval.reason, found.test.p) == (
        None,
        None,
        "no data",
        None,
    )
    assert not found.shown


def test_counting_pairs() -> None:
    assert pairs_of([1, 0, 1, 0, 0], [1, 1, 0, 0, 1]) == Pairs(both=1, fixed=2, broken=1, neither=1)
    assert pairs_of([], []) == Pairs(0, 0, 0, 0)
    with pytest.raises(ValueError, match="0 or 1"):
        pairs_of([0.5], [1])
    with pytest.raises(ValueError, match="one value per item"):
        pairs_of([1], [1, 0])
    with pytest.raises(ValueError, match="negative"):
        Pairs(1, -1, 0, 0)


def test_paired_t_is_scipys() -> None:
    chance = np.random.default_rng(2)
    first, second = chance.normal(size=60), chance.normal(0.3, 1, size=60)
    ours, theirs = paired_mean(first, second), stats.ttest_rel(second, first)
    bounds = theirs.confidence_interval()
    assert (ours.test.p, ours.test.statistic) == pytest.approx((theirs.pvalue, theirs.statistic), abs=1e-9)
    assert (ours.interval.low, ours.interval.high) == pytest.approx((bounds.low, bounds.high), abs=1e-9)
    assert ours.fixed + ours.broken == 60
    alone = paired_mean(first, second, clusters=np.arange(60))
    assert alone.test.p == pytest.approx(ours.test.p, abs=1e-9)


@pytest.mark.parametrize(
    "n, change, reason",
    [
        (0, 0.0, "no data"),
        (1, 1.0, "a single value has no spread"),
        (5, 0.0, "every pair differs by the same"),
        (5, 0.1, "every pair differs by the same"),
    ],
)
def test_means_without_spread(n: int, change: float, reason: str) -> None:
    found = paired_mean(np.arange(n) / 7, np.arange(n) / 7 + change)
    assert (found.interval.low, found.test.p, found.interval.reason, found.shown) == (
        None,
        None,
        reason,
        False,
    )


def test_wilcoxon_is_scipys() -> None:
    chance = np.random.default_rng(5)
    for n in (1, 4, 20, 200):
        values = chance.normal(0.4, 1, n)
        ours = wilcoxon([*values, 0.0])
        theirs = stats.wilcoxon(values)
        assert (ours.p, ours.statistic, ours.n) == pytest.approx(
            (theirs.pvalue, theirs.statistic, n), abs=1e-12
        )


def test_wilcoxon_is_the_enumeration_of_all_signs() -> None:
    values = np.array([0.5, -1.25, 2.0, 3.5, -0.75, 4.0, 5.5])
    ranks = stats.rankdata(np.abs(values))
    sums = [ranks[np.array(signs) > 0].sum() for signs in product((-1, 1), repeat=7)]
    off = abs(ranks[values > 0].sum() - ranks.sum() / 2)
    assert wilcoxon(values).p == pytest.approx(
        np.mean(np.abs(np.array(sums) - ranks.sum() / 2) >= off - 1e-9), abs=1e-12
    )


def test_tests_of_signs() -> None:
    values = [1.0, 2.0, -1.0, 0.0, 5.0, 0.1]
    assert sign_test(values).p == stats.binomtest(4, 5).pvalue
    assert (sign_test(values).n, sign_test(values).statistic) == (5, 4.0)
    for test in (sign_test, wilcoxon):
        assert (test([]).p, test([]).reason) == (None, "no data")
        assert (test([0.0, 0.0]).p, test([0.0, 0.0]).reason) == (None, "every difference is 0")


def test_groups_are_means_over_runs() -> None:
    assert list(mean_of_runs(np.array([[1.0, 0.0], [1.0, 1.0]]))) == [0.5, 1.0]
    with pytest.raises(ValueError, match="column"):
        mean_of_runs(np.zeros((3, 0)))


def test_all_pairs_at_once_are_those_one_by_one() -> None:
    chance = np.random.default_rng(11)
    verdicts = (chance.random((400, 4)) < (0.2, 0.5, 0.5, 0.9)).astype(float)
    verdicts[chance.random(verdicts.shape) < 0.1] = np.nan
    found = all_pairs(verdicts)
    assert list(found) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    for (first, second), pairs in found.items():
        known = ~np.isnan(verdicts[:, [first, second]]).any(axis=1)
        assert pairs == pairs_of(verdicts[known, first], verdicts[known, second])
    with pytest.raises(ValueError, match="0 or 1"):
        all_pairs(np.array([[0.5, 1.0]]))
