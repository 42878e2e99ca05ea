"""A difference in words: never more than the interval shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats.paired import Pairs, paired_binary, paired_mean
from analysis.wording import number, p_text, worded


@given(st.builds(Pairs, *[st.integers(0, 200)] * 4))
def test_never_better_where_the_interval_includes_0(pairs: Pairs) -> None:
    found = worded(paired_binary(pairs), 0.01, "old", "new")
    assert found.shown == (" more items " in found.sentence or " fewer items " in found.sentence)
    assert "nan" not in (found.figures + found.sentence).lower()


def test_lines() -> None:
    found = worded(paired_binary(Pairs(222, 293, 64, 740)), 3.9e-36, "6B finetuning", "6B verification")
    assert found.figures == "B − A = +17.4 pts [14.7, 20.0], p < 0.001, 1,319 pairs, 293 fixed, 64 broken"
    assert found.sentence == "6B verification answers more items correctly than 6B finetuning."
    open_ = worded(paired_binary(Pairs(2, 6, 3, 76)), 0.508, "A", "B")
    assert open_.figures == "B − A = +3.4 pts [−3.3, 10.2], p = 0.508, 87 pairs, 6 fixed, 3 broken"
    assert open_.sentence.startswith("No difference is shown between B and A: the interval [−3.3, 10.2] inc")
    assert open_.sentence.endswith("includes 0. Few pairs differ (9).")


def test_values() -> None:
    found = worded(paired_mean([1, 2, 3, 4], [3, 4, 5.5, 6.25]), 0.001, "A", "B", share=False)
    assert found.figures == "B − A = +2.19 [1.81, 2.57], p = 0.001, 4 pairs, 4 higher, 0 lower"
    assert found.sentence == "B scores higher than A."
    flat = worded(paired_mean([1, 2], [2, 3]), None, "A", "B", share=False)
    assert (
        flat.figures == "B − A = +1, no interval: every pair differs by the same, 2 pairs, 2 higher, 0 lower"
    )
    assert flat.sentence == "B and A cannot be told apart: every pair differs by the same."


def test_nothing() -> None:
    found = worded(paired_binary(Pairs(0, 0, 0, 0)), None, "A", "B")
    assert (found.figures, found.sentence) == ("B − A: no items in common", "There is nothing to compare.")


@pytest.mark.parametrize(
    "value, text", [(0.1736, "+17.4"), (-0.1736, "−17.4"), (0.0, "0.0"), (-0.0001, "0.0")]
)
def test_numbers(value: float, text: str) -> None:
    assert number(value, True, signed=True) == text


def test_p() -> None:
    assert (p_text(0.00099), p_text(0.0031), p_text(1.0)) == ("< 0.001", "= 0.003", "= 1.000")
