"""Shapes of charts, word diffs, what is kept in memory, and query strings there and back."""

import numpy as np
import pytest
from django.http import QueryDict

from analysis.asking import Asked, asked
from analysis.diffing import MOST_WORDS, word_diff
from analysis.drawing import density_path, frontier, round_axis
from analysis.kept import Keeper


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.015, 0.375, [0.0, 0.2, 0.4]),
        (-0.07, 0.375, [-0.2, 0.0, 0.2, 0.4]),
        (-0.3, -0.1, [-0.3, -0.2, -0.1, 0.0]),
        (0, 0, [0.0, 0.5, 1.0]),
    ],
)
def test_axes_end_on_round_ticks_and_hold_zero(low: float, high: float, ticks: list[float]) -> None:
    axis = round_axis(low, high, 4)
    assert list(axis.ticks) == pytest.approx(ticks)
    assert axis.at(axis.low) == 0 and axis.at(axis.high) == 100


def test_a_density_peaks_where_the_values_are() -> None:
    values = np.array([500] * 90 + [1500] * 10, dtype=np.int32)
    path = density_path(values, 2000)
    tops = {float(step.split()[0]): float(step.split()[1]) for step in path[1:-1].split("L")[1:-1]}
    assert min(tops, key=lambda at: tops[at]) == pytest.approx(25.5) and min(tops.values()) == 4.0
    assert density_path(np.zeros(0, dtype=np.int32), 10) == ""
    assert density_path(np.array([50], dtype=np.int32), 10) == ""  # all beyond the axis


def test_the_frontier_is_what_none_beats() -> None:
    assert frontier([(1, 0.2), (5, 0.4), (7, 0.35), (60, 0.56), (60, 0.5), (0.5, 0.1)]) == [5, 0, 1, 3]


def test_words_that_differ() -> None:
    found = word_diff("36 x 1.50 = 54", "36 x .5 = 18 seeds")
    assert found is not None
    left, right = found
    assert [piece.text for piece in left if piece.changed] == ["1.50", "54"]
    assert [piece.text for piece in right if piece.changed] == [".5", "18 seeds"]
    assert "".join(piece.text for piece in left) == "36 x 1.50 = 54"
    assert word_diff("a " * MOST_WORDS, "b") is None


def test_what_is_kept_is_bounded_in_bytes() -> None:
    keeper, made = Keeper(most_bytes=2000), []

    def make(name: str) -> np.ndarray:  # type: ignore[type-arg]
        made.append(name)
        return np.zeros(100)

    for name in ("a", "b", "a", "c", "a", "b"):
        keeper.of(name, lambda name=name: make(name))  # type: ignore[misc]
    assert made == ["a", "b", "c", "b"] and keeper.bytes == 1600
    keeper.forget()
    assert keeper.bytes == 0


def test_a_query_string_there_and_back() -> None:
    text = (
        "runs=5,6&baseline=6&scorer=exact%20match&values=mean&a=right&b=wrong&section=-&differ=judge:x&item=3"
    )
    found = asked(QueryDict(text))
    assert found == Asked(
        runs=(5, 6), baseline=6, scorer="exact match", mean=True, wanted={"A": True, "B": False}, section="",
        differ="judge:x", item=3,
    )  # fmt: skip
    assert asked(QueryDict(found.query().removeprefix("?"))) == found
    assert asked(QueryDict("runs=5,x,5,-1,99999999999999999999&a=maybe")) == Asked(runs=(5,))
