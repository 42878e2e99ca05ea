"""Adjusted p values against scipy, statsmodels' figures and their definitions; ranks from tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.stats.multiplicity import benjamini_hochberg, holm
from analysis.stats.paired import Pairs, paired_binary
from analysis.stats.ranking import RankInterval, places, rank_intervals

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_statsmodels_figures() -> None:
    """multipletests of statsmodels 0.15."""
    p = [0.01, 0.04, 0.03, 0.005, 0.6, 0.04]
    assert holm(p) == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.6, 0.12], abs=1e-9)
    assert benjamini_hochberg(p) == pytest.approx([0.03, 0.048, 0.048, 0.03, 0.6, 0.048], abs=1e-9)


@given(P_VALUES)
def test_benjamini_hochberg_is_scipys(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(list(stats.false_discovery_control(p)), abs=1e-9)


@given(P_VALUES, st.floats(0.001, 0.999))
def test_holm_rejects_as_its_procedure_does(p: list[float], level: float) -> None:
    """Step down: reject while the k-th smallest is at most level / (m − k + 1)."""
    rejected: set[int] = set()
    for step, at in enumerate(sorted(range(len(p)), key=lambda at: p[at])):
        if p[at] * (len(p) - step) > level:
            break
        rejected.add(at)
    assert {at for at, each in enumerate(holm(p)) if each is not None and each <= level} == rejected


@given(P_VALUES)
def test_adjusted_is_never_smaller_and_keeps_the_order(p: list[float]) -> None:
    for adjusted in (holm(p), benjamini_hochberg(p)):
        known = [each for each in adjusted if each is not None]
        assert all(new >= old - 1e-15 for new, old in zip(known, p, strict=True)) and max(known) <= 1
        assert list(np.argsort(p, kind="stable")) == sorted(
            range(len(p)), key=lambda at: (known[at], p[at], at)
        )


def test_a_test_without_p_does_not_count() -> None:
    assert holm([0.02, None, 0.03]) == [0.04, None, 0.04]
    assert benjamini_hochberg([None, 0.02]) == [None, 0.02]
    assert holm([]) == [] and benjamini_hochberg([]) == []


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_impossible_p_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([bad])


def test_benjamini_hochberg_keeps_the_false_discoveries() -> None:
    """Four of ten hypotheses are false: of what is called a finding, at most 5 % are none."""
    chance, wrong = np.random.default_rng(12), []
    for _ in range(3000):
        p = np.concatenate([chance.random(6), 2 * stats.norm.sf(np.abs(chance.normal(3, 1, 4)))])
        found = np.array(benjamini_hochberg(p.tolist())) < 0.05
        wrong.append(found[:6].sum() / max(1, found.sum()))
    assert np.mean(wrong) <= 0.05


def test_rank_intervals() -> None:
    """0 and 1 are alike, both beat 2."""
    alike, beaten = paired_binary(Pairs(50, 10, 10, 30)), paired_binary(Pairs(40, 1, 40, 19))
    found = rank_intervals(3, {(0, 1): alike, (0, 2): beaten, (1, 2): beaten})
    assert found == [RankInterval(1, 2), RankInterval(1, 2), RankInterval(3, 3)]
    assert places(found) == ["1–2", "1–2", "3"]


def test_ranks_without_tests_stay_open() -> None:
    nothing = paired_binary(Pairs(0, 0, 0, 0))
    assert rank_intervals(2, {(0, 1): nothing}) == [RankInterval(1, 2)] * 2
    assert rank_intervals(1, {}) == [RankInterval(1, 1)] and rank_intervals(0, {}) == []
    with pytest.raises(ValueError, match="one difference per pair"):
        rank_intervals(2, {})
