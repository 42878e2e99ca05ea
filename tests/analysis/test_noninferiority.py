"""Not worse than by a margin: outcomes, p values that agree with them, type-I error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.stats.noninferiority import Outcome, judged, noninferiority_binary, noninferiority_mean
from analysis.stats.paired import Pairs
from analysis.stats.results import Interval


def test_three_outcomes() -> None:
    same = Pairs(500, 20, 22, 458)
    assert noninferiority_binary(same, 0.02).outcome == Outcome.PASS
    assert noninferiority_binary(Pairs(500, 20, 80, 400), 0.02).outcome == Outcome.FAIL
    assert noninferiority_binary(Pairs(50, 5, 7, 38), 0.02).outcome == Outcome.INCONCLUSIVE


def test_without_data_nothing_passes() -> None:
    found = noninferiority_binary(Pairs(0, 0, 0, 0), 0.02)
    assert (found.outcome, found.p, found.reason) == (Outcome.INCONCLUSIVE, None, "no data")
    found = noninferiority_mean([1.0], [1.0], 0.5)
    assert (found.outcome, found.p) == (Outcome.INCONCLUSIVE, None)
    assert judged(Interval(1.0, None, None, 1, "any", "why"), 0.1, None).reason == "why"


@given(st.builds(Pairs, *[st.integers(0, 60)] * 4), st.floats(0, 0.3))
def test_passes_exactly_where_p_is_small(pairs: Pairs, margin: float) -> None:
    found = noninferiority_binary(pairs, margin)
    if found.p is not None and abs(found.p - 0.025) > 1e-6:
        assert (found.outcome == Outcome.PASS) == (found.p < 0.025)


def test_means_are_scipys() -> None:
    chance = np.random.default_rng(8)
    first = chance.normal(size=40)
    second = first + chance.normal(-0.1, 0.5, 40)
    found = noninferiority_mean(first, second, 0.3)
    assert found.p == pytest.approx(
        stats.ttest_1samp(second - first, -0.3, alternative="greater").pvalue, abs=1e-9
    )
    assert (found.outcome == Outcome.PASS) == (found.p is not None and found.p < 0.025)


@pytest.mark.parametrize("margin", [-0.1, 1.0, float("nan")])
def test_bad_margins_are_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        noninferiority_binary(Pairs(1, 1, 1, 1), margin)


def test_bad_margins_of_means_are_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        noninferiority_mean([1.0, 2.0], [1.0, 2.0], -1.0)
