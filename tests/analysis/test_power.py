"""Planned sample sizes: published examples, statsmodels' figures, and power by enumeration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.stats.intervals import Spread
from analysis.stats.paired import Pairs
from analysis.stats.power import (
    Design,
    from_spread,
    paired_epochs,
    paired_values,
    paired_verdicts,
    paired_verdicts_like,
    pairs_for_noninferiority,
    unpaired_values,
    unpaired_verdicts,
)

DESIGNS = st.one_of(
    st.floats(0.05, 1).map(paired_verdicts),
    st.floats(0.1, 0.9).map(unpaired_verdicts),
    st.floats(0.01, 10).map(paired_values),
)


def test_published_example() -> None:
    """Miller 2024, §5: ω² = 1/9 and δ = 3 points need 969 items when no answer varies by itself."""
    assert paired_epochs(1 / 9, 0, 0).needed(0.03).n == 969
    assert paired_epochs(1 / 9, 1 / 6, 1 / 6).needed(0.03).n == 3876
    assert paired_epochs(1 / 9, 1 / 6, 1 / 6, (10, 10)).needed(0.03).n == 1260


def test_means_are_statsmodels() -> None:
    """NormalIndPower of statsmodels 0.15: 174.42 in each sample for d = 0.3."""
    assert unpaired_values(1, 1).needed(0.3).n == 175
    assert paired_values(1).needed(0.3).n == 88  # half of it


def test_unpaired_shares_are_the_textbooks() -> None:
    """Fleiss' formula, written out: 0.6 against 0.7."""
    z_alpha, z_beta = stats.norm.ppf([0.975, 0.8])
    wanted = (z_alpha * np.sqrt(2 * 0.65 * 0.35) + z_beta * np.sqrt(0.6 * 0.4 + 0.7 * 0.3)) ** 2 / 0.1**2
    assert unpaired_verdicts(0.65).needed(0.1).n == int(np.ceil(wanted))


@given(DESIGNS, st.integers(20, 100_000), st.sampled_from([0.3, 0.8, 0.9]), st.sampled_from([1, 6]))
def test_both_directions_agree(design: Design, n: int, power: float, tests: int) -> None:
    found = design.detectable(n, power=power, tests=tests)
    if found.difference is None:
        assert design.most is not None
        return
    assert design.needed(found.difference, power=power, tests=tests).n == n


def test_power_is_as_promised() -> None:
    """The z test of McNemar at the planned n, summed over every outcome."""
    psi, delta = 0.3, 0.1
    n = paired_verdicts(psi).needed(delta).n
    assert n is not None
    power = 0.0
    for k in range(n + 1):
        share = stats.binom.pmf(k, n, psi)
        fixed = np.arange(k + 1)
        rejects = np.abs(2 * fixed - k) > 1.959964 * np.sqrt(k)
        power += share * (stats.binom.pmf(fixed, k, (psi + delta) / 2 / psi) @ rejects)
    assert power == pytest.approx(0.8, abs=0.02)


def test_doubling_items_buys_a_root_of_two() -> None:
    design = paired_values(0.5)
    one, two = design.detectable(500).difference, design.detectable(1000).difference
    assert one is not None and two is not None and one / two == pytest.approx(np.sqrt(2))


def test_from_what_was_seen() -> None:
    earlier = paired_verdicts_like(Pairs(222, 293, 64, 740))
    assert earlier.basis == "1,319 earlier pairs" and earlier.deviation**2 == pytest.approx(358 / 1320)
    assert paired_verdicts_like(Pairs(10, 0, 0, 0)).deviation > 0
    run = from_spread(Spread(0.1, 0.05, 100, 500, 5.0), epochs=5, correlation=0.5)
    assert run is not None and run.deviation**2 == pytest.approx(2 * 0.1 * 0.5 + 2 * 0.05 / 5)
    assert from_spread(Spread(None, None, 3, 3, 1.0, "no item was repeated")) is None


def test_what_cannot_be() -> None:
    assert "cannot be larger than 5.0 points" in paired_verdicts(0.05).needed(0.2).reason
    assert paired_verdicts(0.05).detectable(10).difference is None
    assert paired_verdicts(0.3).needed(0).n is None
    assert paired_verdicts(0.3).detectable(0).reason == "no items"
    assert paired_verdicts(0.3).detectable(1).reason == "at least two items"
    assert paired_values(0).detectable(50).reason == "no spread to tell it from"


def test_noninferiority_needs_room() -> None:
    wanted = (sum(stats.norm.ppf([0.975, 0.8])) * 0.5 / 0.02) ** 2
    assert pairs_for_noninferiority(0.5, 0.02).n == int(np.ceil(wanted))
    assert pairs_for_noninferiority(0.5, 0.02, difference=-0.02).n is None
    easier = pairs_for_noninferiority(0.5, 0.02, difference=0.02).n
    assert easier is not None and easier < wanted


def test_impossible_plans_are_refused() -> None:
    for wrong in (lambda: paired_verdicts(1.2), lambda: paired_values(-1), lambda: paired_epochs(0, -1, 0)):
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(ValueError, match="power"):
        paired_verdicts(0.2).needed(0.1, power=1)
