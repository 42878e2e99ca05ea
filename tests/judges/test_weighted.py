"""Weighted means: published values, the plain figures where weights are alike, and sums that add up."""

from dataclasses import astuple
from functools import reduce
from operator import add

import numpy as np
import pytest
import statsmodels.api as sm

from judges.metrics import build_metric
from judges.metrics.clustered import clustered_mean
from judges.metrics.trials import ScoredTrial
from judges.metrics.weighted import of_cluster, weight_sums, weighted_mean

CHANCE = np.random.default_rng(3)
X, W = CHANCE.normal(size=60), CHANCE.uniform(0.5, 4, size=60)
CLUSTERS = [int(each) for each in CHANCE.integers(0, 17, size=60)]


@pytest.mark.parametrize("clusters", [list(range(60)), CLUSTERS])
def test_it_is_the_clustered_sandwich_of_weighted_least_squares(clusters: list[int]) -> None:
    """As statsmodels has it for a constant alone, where its small-sample factor is G/(G−1), too."""
    fitted = sm.WLS(X, np.ones(60), weights=W).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(clusters)}, use_t=True
    )
    found = weighted_mean(weight_sums(X, W, clusters))
    low, high = fitted.conf_int()[0]
    assert (found.value, found.low, found.high) == pytest.approx((fitted.params[0], low, high))


def test_alike_weights_give_the_plain_figure() -> None:
    plain, found = clustered_mean(X, CLUSTERS), weighted_mean(weight_sums(X, [2.5] * 60, CLUSTERS))
    assert (found.value, found.low, found.high, found.n) == pytest.approx(
        (plain.value, plain.low, plain.high, plain.n)
    )
    assert weight_sums(X, [2.5] * 60, CLUSTERS).effective == pytest.approx(60)


def test_a_heavy_item_counts_as_often_as_its_weight() -> None:
    assert weighted_mean(weight_sums([1, 0, 0], [3, 1, 2], "abc")).value == 0.5
    assert weight_sums([1, 0, 0], [3, 1, 2], "abc").effective == pytest.approx(36 / 14)


def test_sums_of_disjoint_clusters_add_up() -> None:
    parts = []
    for cluster in sorted(set(CLUSTERS)):
        inside = [at for at, each in enumerate(CLUSTERS) if each == cluster]
        parts.append(weight_sums(X[inside], W[inside], [cluster] * len(inside)))
    assert astuple(reduce(add, parts)) == pytest.approx(astuple(weight_sums(X, W, CLUSTERS)))
    assert astuple(of_cluster(3, 2.0, 1.5)) == astuple(weight_sums([0.5] * 3, [2.0] * 3, "aaa"))


@pytest.mark.parametrize(("right", "bound"), [(1.0, "low"), (0.0, "high")])
def test_all_right_or_all_wrong_still_has_an_interval(right: float, bound: str) -> None:
    found = weighted_mean(weight_sums([right] * 10, [5] + [1] * 9, range(10)), share=True)
    wide = getattr(found, bound)
    assert found.value == right and wide is not None and 0.3 < abs(wide - right) < 0.6


def test_the_denominator_tells_the_weight_and_what_is_left_out() -> None:
    trials = [
        ScoredTrial(1, value=1.0, passed=True, weight=3),
        ScoredTrial(2, value=0.0, passed=False),
        ScoredTrial(3),
        ScoredTrial(4, errored=True),
    ]
    found = build_metric("weighted_accuracy").compute(trials)
    assert (found.value, found.n) == (0.75, 2)
    assert found.denominator == (
        "2 scored trials of weight 4 together, as good as 1.6 of equal weight; "
        "1 unscored and 1 errored not counted"
    )
    assert build_metric("weighted_mean").compute(trials).value == 0.75
    assert build_metric("weighted_mean").compute([]).value is None
