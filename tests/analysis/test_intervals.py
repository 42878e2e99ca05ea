"""Intervals of means and shares against scipy, statsmodels' figures, and their own promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.stats.intervals import clopper_pearson, clustered_interval, spread, t_interval, wilson

CLUSTERS = np.repeat(np.arange(12), [1, 2, 3, 4, 5, 6] * 2)
VALUES = (np.arange(42) * 7 % 13) / 13 + CLUSTERS * 5 % 12 / 6


@pytest.mark.parametrize("n", [1, 2, 9, 10, 1319, 100_000])
def test_shares_are_scipys(n: int) -> None:
    for k in {0, 1, n // 3, n - 1, n}:
        test = stats.binomtest(k, n)
        for ours, method in ((wilson(k, n), "wilson"), (clopper_pearson(k, n), "exact")):
            theirs = test.proportion_ci(method=method)
            assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
            assert (ours.value, ours.n, ours.reason) == (k / n, n, "")


def test_shares_are_statsmodels() -> None:
    """proportion_confint of statsmodels 0.15, methods beta and wilson."""
    exact, score = clopper_pearson(3, 10), wilson(3, 10)
    assert (exact.low, exact.high) == pytest.approx((0.06673951117773447, 0.6524528500599973), abs=1e-9)
    assert (score.low, score.high) == pytest.approx((0.10779126740630104, 0.6032218525388546), abs=1e-9)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_shares_cover(interval: object) -> None:
    """Exactly, by summing over every count: Wilson on average, Clopper–Pearson always."""
    coverage = []
    for p in np.linspace(0.02, 0.98, 49):
        found = [(wilson if interval is wilson else clopper_pearson)(k, 200) for k in range(201)]
        held = np.array([(each.low or 0) <= p <= (each.high or 0) for each in found])
        coverage.append(stats.binom.pmf(np.arange(201), 200, p) @ held)
    if interval is wilson:
        assert 0.945 < np.mean(coverage) < 0.955 and min(coverage) > 0.92
    else:
        assert min(coverage) >= 0.95


def test_mean_is_scipys() -> None:
    ours = t_interval(VALUES)
    theirs = stats.t.interval(0.95, len(VALUES) - 1, loc=VALUES.mean(), scale=stats.sem(VALUES))
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=1e-9)


def test_clustered_is_statsmodels() -> None:
    """OLS on a constant, cov_type="cluster" with use_t, statsmodels 0.15."""
    ours = clustered_interval(VALUES, CLUSTERS)
    assert ours.value == pytest.approx(1.34004884004884, abs=1e-9)
    assert (ours.low, ours.high) == pytest.approx((0.9498567710559385, 1.7302409090417405), abs=1e-9)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_clusters_of_one_give_students_interval(values: list[float]) -> None:
    ours, students = clustered_interval(values, list(range(len(values)))), t_interval(values)
    assert (ours.low, ours.high) == pytest.approx((students.low, students.high), rel=1e-9, abs=1e-6)


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=30))
def test_repeating_every_item_adds_no_certainty(values: list[float]) -> None:
    """Three epochs that always agree say as much as one."""
    tripled, once = (
        clustered_interval(np.repeat(values, 3), np.repeat(np.arange(len(values)), 3)),
        t_interval(values),
    )
    assert (tripled.low, tripled.high) == pytest.approx((once.low, once.high), abs=1e-9)


def covered(found: list[tuple[float | None, float | None]], truth: float) -> float:
    return float(np.mean([low is not None and low <= truth <= (high or 0) for low, high in found]))


def test_means_cover() -> None:
    """95 % within Monte Carlo error at n = 200; the plain interval does not, where items are clustered."""
    chance, plain, clustered, naive = np.random.default_rng(1), [], [], []
    groups = np.repeat(np.arange(50), 4)
    for _ in range(3000):
        skewed = t_interval(chance.beta(2, 5, 200))
        plain.append((skewed.low, skewed.high))
        values = chance.normal(size=50)[groups] + chance.normal(size=200)
        kept, blind = clustered_interval(values, groups), t_interval(values)
        clustered.append((kept.low, kept.high))
        naive.append((blind.low, blind.high))
    assert 0.94 <= covered(plain, 2 / 7) <= 0.96
    assert 0.94 <= covered(clustered, 0.0) <= 0.96
    assert covered(naive, 0.0) < 0.85


def test_little_data_gives_a_reason() -> None:
    for nothing in (wilson(0, 0), clopper_pearson(0, 0), t_interval([]), clustered_interval([], [])):
        assert (nothing.value, nothing.low, nothing.high, nothing.n, nothing.reason) == (
            None,
            None,
            None,
            0,
            "no data",
        )
    single = t_interval([3.0])
    assert (single.value, single.low, single.reason) == (3.0, None, "a single value has no spread")
    assert clustered_interval([1.0, 2.0], ["a", "a"]).reason == "a single cluster has no spread"


@pytest.mark.parametrize("k, n", [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    for interval in (wilson, clopper_pearson):
        with pytest.raises(ValueError, match="not a count"):
            interval(k, n)


def test_missing_values_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        t_interval([1.0, float("nan")])
    with pytest.raises(ValueError, match="values has 2, clusters has 1"):
        clustered_interval([1.0, 2.0], ["a"])


def test_spread_is_the_analysis_of_variance() -> None:
    """Balanced: MSW and (MSB − MSW)/K from scipy's F; and it recovers what made the data."""
    chance = np.random.default_rng(4)
    table = chance.normal(size=(400, 1)) * 0.6 + chance.normal(size=(400, 5)) * 0.3
    found = spread(table.ravel(), np.repeat(np.arange(400), 5))
    assert found.between is not None and found.within is not None and found.epochs == pytest.approx(5)
    theirs = stats.f_oneway(*table).statistic
    assert (5 * found.between + found.within) / found.within == pytest.approx(theirs, rel=1e-9)
    assert found.between == pytest.approx(0.36, rel=0.15) and found.within == pytest.approx(0.09, rel=0.1)
    assert found.share_within == pytest.approx(found.within / (found.within + found.between))


def test_spread_predicts_the_error_of_more_epochs() -> None:
    found = spread([1, 0, 1, 1, 0, 0, 1, 0], [0, 0, 1, 1, 2, 2, 3, 3])
    one, many = found.error_with(100, 1), found.error_with(100, 4)
    assert one is not None and many is not None and many < one
    assert found.error_with(0, 1) is None


def test_spread_says_what_it_cannot_tell() -> None:
    assert spread([], []).reason == "no data"
    assert (spread([1, 0], ["a", "b"]).between, spread([1, 0], ["a", "b"]).reason) == (
        None,
        "no item was repeated",
    )
    single = spread([1, 0], ["a", "a"])
    assert (single.between, single.within, single.reason) == (None, 0.5, "a single item")
    assert spread([1, 1, 1, 1], [0, 0, 1, 1]).share_within is None
