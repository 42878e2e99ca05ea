"""The overall score and its interval, differences over parts, and scales that have no mean."""

import numpy as np
import pytest

from analysis.stats.intervals import wilson
from benchmarks.scales import Counted, NoScale, mixed, scale_of
from benchmarks.scoring import (
    Column,
    PartPair,
    Scale,
    Weighted,
    all_differences,
    difference,
    interval_of,
    overall,
    paired,
)
from judges.metrics import mean_estimate


def test_one_part_keeps_its_own_interval() -> None:
    assert overall([Weighted(wilson(742, 1319), 3.0)]) == wilson(742, 1319)


def test_weights_and_bounds_of_two_parts() -> None:
    a, b = wilson(80, 100), wilson(30, 50)
    found = overall([Weighted(a, 3), Weighted(b, 1)])
    assert a.low is not None and b.low is not None and a.value is not None and b.value is not None
    assert found.value == pytest.approx(0.75 * 0.8 + 0.25 * 0.6)
    lower = np.hypot(0.75 * (a.value - a.low), 0.25 * (b.value - b.low))
    assert found.low == pytest.approx(found.value - lower) and found.n == 150


def test_coverage_of_the_overall_interval() -> None:
    """95 % of 4,000 draws at unequal parts and weights, within Monte Carlo error."""
    rng, hits, draws = np.random.default_rng(5), 0, 4000
    p, n, weight = (0.85, 0.4, 0.6), (200, 120, 300), (1.0, 2.0, 0.5)
    truth = float(np.average(p, weights=weight))
    counts = np.stack([rng.binomial(m, q, draws) for q, m in zip(p, n, strict=True)], axis=1)
    for drawn in counts:
        parts = zip(drawn, n, weight, strict=True)
        found = overall([Weighted(wilson(int(k), m), w) for k, m, w in parts])
        hits += bool(found.low is not None and found.high is not None and found.low <= truth <= found.high)
    assert 0.94 <= hits / draws <= 0.96


def test_no_figure_where_a_part_has_none() -> None:
    assert overall([Weighted(wilson(1, 2), 1), Weighted(wilson(0, 0), 1)]).value is None
    assert overall([]).value is None


def test_means_are_moved_to_their_scale() -> None:
    found = interval_of(mean_estimate(40.0, 170.0, 10), Scale(1, 5), "t")
    assert found.value == pytest.approx(0.75) and found.high is not None and found.high <= 1


def test_the_type_one_error_of_several_parts() -> None:
    """Two systems alike on two parts are called different in at most 5.5 % of draws."""
    rng, called, draws = np.random.default_rng(7), 0, 3000
    for _ in range(draws):
        parts = []
        for n, p, weight in ((200, 0.7, 1.0), (300, 0.4, 2.0)):
            hard = rng.random(n) < p
            pair = [np.where(rng.random(n) < 0.3, rng.random(n) < p, hard).astype(float) for _ in range(2)]
            parts.append(PartPair(pair[0], pair[1], True, weight, np.arange(n)))
        test = difference(parts).test
        called += bool(test.p is not None and test.p < 0.05)
    assert called / draws <= 0.055


def test_one_part_is_exact_mcnemar_and_items_meet_by_key() -> None:
    first = Column(np.array([1, 2, 3, 5]), np.array([1.0, 0, 0, np.nan]), True)
    second = Column(np.array([2, 3, 5, 9]), np.array([1.0, 1, 1, 0]), True)
    pair = paired(first, second, 1.0)
    assert pair.n == 2
    found = difference([pair])
    assert (found.fixed, found.broken, found.test.method) == (2, 0, "exact McNemar")
    assert difference([pair, paired(first, first, 1.0)]).interval.n == 5


def test_every_two_systems_at_once_are_as_one_by_one() -> None:
    chance = np.random.default_rng(4)
    systems = []
    for share in (0.3, 0.5, 0.8):
        keys = np.flatnonzero(chance.random(300) < 0.9)
        systems.append([Column(keys, (chance.random(len(keys)) < share).astype(float), True)])
    found = all_differences(systems, [1.0])
    assert found == {
        (i, j): difference([paired(systems[i][0], systems[j][0], 1.0)]) for i, j in ((0, 1), (0, 2), (1, 2))
    }
    assert all_differences(systems[:1], [1.0]) == {}


def test_two_parts_without_any_difference_decide_nothing() -> None:
    same = PartPair(np.ones(5), np.ones(5), True, 1.0, np.arange(5))
    assert difference([same, same]).test.p is None


def test_scales() -> None:
    numeric, bleu = [{"key": "numeric", "name": "n"}], [{"key": "bleu", "name": "b"}]
    assert scale_of(Counted("n", "share", numeric, [])) == Scale()
    assert scale_of(Counted("b", "mean", bleu, [])) == Scale(0, 100)
    with pytest.raises(NoScale, match="no highest value"):
        scale_of(Counted("l", "mean", [{"key": "length", "name": "l"}], []))
    with pytest.raises(NoScale, match="one of n"):
        scale_of(Counted("other", "share", numeric, []))
    assert "Mixed scales: part 1 counts on 0–1, part 2 counts on 0–100" in mixed([Scale(), Scale(0, 100)])
    assert mixed([Scale(), Scale()]) == ""
