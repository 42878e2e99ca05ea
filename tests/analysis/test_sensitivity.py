"""Bounds from excluded trials: against trying every value they could have had."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.stats.paired import paired_binary, pairs_of
from analysis.stats.sensitivity import direction, paired_bounds, share_bounds

NONE = float("nan")
VERDICT = st.sampled_from([0.0, 1.0, NONE])


def test_shares() -> None:
    found = share_bounds(right=8, scored=10, excluded=10)
    assert (found.worst.value, found.best.value, found.worst.n) == (0.4, 0.9, 20)
    assert share_bounds(0, 0, 0).worst.reason == "no data"
    with pytest.raises(ValueError, match="negative"):
        share_bounds(1, 2, -1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(VERDICT, VERDICT), min_size=1, max_size=4))
def test_no_filling_lies_outside(rows: list[tuple[float, float]]) -> None:
    first, second = [a for a, _ in rows], [b for _, b in rows]
    found = paired_bounds(first, second)
    options = [
        [(x, y) for x in ([a] if a == a else [0, 1]) for y in ([b] if b == b else [0, 1])] for a, b in rows
    ]
    seen = []
    for filled in product(*options):
        value = paired_binary(pairs_of([a for a, _ in filled], [b for _, b in filled])).interval.value
        assert value is not None
        seen.append(value)
    assert (found.worst.interval.value, found.best.interval.value) == pytest.approx((min(seen), max(seen)))
    assert found.excluded == sum(a != a or b != b for a, b in rows)


def test_whether_the_verdict_could_change() -> None:
    clear = [0.0] * 100 + [1.0] * 10, [1.0] * 100 + [1.0] * 10
    assert not paired_bounds(*clear).could_change and direction(paired_bounds(*clear).seen) == 1
    few = [*clear[0], NONE], [*clear[1], 1.0]
    assert not paired_bounds(*few).could_change and paired_bounds(*few).excluded == 1
    many = clear[0] + [1.0] * 90, clear[1] + [NONE] * 90
    assert paired_bounds(*many).could_change


def test_values_on_a_scale() -> None:
    found = paired_bounds([3.0, NONE, 4.0], [4.0, 2.0, 4.5], low=1, high=5)
    assert found.worst.interval.value == pytest.approx((1 - 3 + 0.5) / 3)
    assert found.best.interval.value == pytest.approx((1 + 1 + 0.5) / 3)
    with pytest.raises(ValueError, match="outside 1 to 5"):
        paired_bounds([0.0], [2.0], low=1, high=5)


def test_nothing_known() -> None:
    found = paired_bounds([NONE] * 20, [NONE] * 20)
    assert found.seen.interval.reason == "no data" and found.could_change
    assert paired_bounds([], []).excluded == 0
