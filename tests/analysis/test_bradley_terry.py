"""Strengths against a published table, a plain optimiser, and what made the data."""

import numpy as np
import pytest
from scipy import optimize

from analysis.stats.bradley_terry import bradley_terry

# American League East 1987, home and away together: Agresti, Categorical Data Analysis, §10.6.
TEAMS = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"]
WINS = [
    [0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12], [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0],
]  # fmt: skip


def games() -> tuple[list[str], list[str], list[float]]:
    rows = [(a, b) for i, a in enumerate(TEAMS) for j, b in enumerate(TEAMS) for _ in range(WINS[i][j])]
    return [a for a, _ in rows], [b for _, b in rows], [1.0] * len(rows)


def test_published_strengths() -> None:
    found = bradley_terry(*games(), resamples=50)
    values = [found.interval[team].value for team in TEAMS]
    above = [(value or 0) - (values[-1] or 0) for value in values]
    assert above == pytest.approx([1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0], abs=0.006)
    assert sum(value or 0 for value in values) == pytest.approx(0, abs=1e-9)
    assert (found.tie, found.n) == (0.0, 273)
    assert found.chance("Milwaukee", "Baltimore") == pytest.approx(1 / (1 + np.exp(-1.5814)), abs=1e-4)


def drawn(n: int, seed: int = 1) -> tuple[list[str], list[str], list[float]]:
    """Comparisons of three players with log-strengths 0.6, 0, −0.6 and ν = 0.8."""
    chance, strength = np.random.default_rng(seed), np.array([0.6, 0.0, -0.6])
    pairs = np.array([(0, 1), (0, 2), (1, 2)])[chance.integers(0, 3, n)]
    a, b = strength[pairs[:, 0]], strength[pairs[:, 1]]
    weight = np.stack([np.exp(a), np.exp(b), 0.8 * np.exp((a + b) / 2)], axis=1)
    at = (chance.random(n)[:, None] > np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)).sum(
        axis=1
    )
    names = np.array(["x", "y", "z"])
    return names[pairs[:, 0]].tolist(), names[pairs[:, 1]].tolist(), np.array([1, 0, 0.5])[at].tolist()


def test_ties_are_a_plain_optimisers() -> None:
    """Davidson's likelihood maximised without derivatives or tricks."""
    first, second, outcome = drawn(400)

    def unlikely(x: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
        strength = dict(zip("xyz", (x[0], x[1], -x[0] - x[1]), strict=True))
        total = 0.0
        for a, b, won in zip(first, second, outcome, strict=True):
            parts = {1.0: strength[a], 0.0: strength[b], 0.5: x[2] + (strength[a] + strength[b]) / 2}
            total += parts[won] - np.log(sum(np.exp(list(parts.values()))))
        return -total

    best = optimize.minimize(
        unlikely, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}
    )
    found = bradley_terry(first, second, outcome, resamples=20)
    assert found.interval["x"].value == pytest.approx(best.x[0], abs=1e-5)
    assert found.interval["y"].value == pytest.approx(best.x[1], abs=1e-5)
    assert found.tie == pytest.approx(np.exp(best.x[2]), abs=1e-5)
    one, other = found.chance("x", "y"), found.chance("y", "x")
    assert one is not None and other is not None and one + other == pytest.approx(1)


def test_order_and_side_do_not_matter() -> None:
    first, second, outcome = drawn(200)
    swapped = bradley_terry(second, first, [1 - won for won in outcome], resamples=5)
    straight = bradley_terry(first, second, outcome, resamples=5)
    for name in "xyz":
        assert swapped.interval[name].value == pytest.approx(straight.interval[name].value, abs=1e-9)


def test_clusters_widen() -> None:
    """Each comparison shown five times says as much as once."""
    first, second, outcome = drawn(60)
    once = bradley_terry(first, second, outcome).interval["x"].half_width
    repeated = (first * 5, second * 5, outcome * 5)
    whole = bradley_terry(*repeated, clusters=list(range(60)) * 5).interval["x"].half_width
    naive = bradley_terry(*repeated).interval["x"].half_width
    assert once is not None and whole == pytest.approx(once, rel=0.15)
    assert naive is not None and naive < 0.6 * once


def test_who_always_wins_has_no_finite_strength() -> None:
    found = bradley_terry(["a", "b", "c", "a"], ["b", "c", "b", "c"], [1, 1, 1, 1])
    assert found.interval["a"].value is None and "a never lost" in found.reason
    assert found.chance("a", "b") is None and found.tie is None
    apart = bradley_terry(["a", "b", "c", "d"], ["b", "a", "d", "c"], [1, 1, 1, 1])
    assert apart.interval["a"].value is None and apart.reason


def test_few_comparisons() -> None:
    """One win and ties: the fit lies at infinity. One win each way: it is finite, not its interval."""
    endless = bradley_terry(["a", "a", "b"], ["b", "b", "a"], [1, 0.5, 0.5], resamples=20)
    assert endless.interval["a"].reason == "too few comparisons: no finite strength"
    even = bradley_terry(["a", "b"], ["b", "a"], [1, 1], resamples=50).interval["a"]
    assert even.value == pytest.approx(0) and even.low is None and "too few comparisons" in even.reason


def test_bad_comparisons() -> None:
    nothing = bradley_terry([], [], [])
    assert (nothing.interval, nothing.n, nothing.reason) == ({}, 0, "no data")
    for first, second, outcome, match in (
        (["a"], ["a"], [1], "itself"), (["a"], ["b"], [0.7], "outcome"), (["a"], [], [1], "one outcome"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            bradley_terry(first, second, outcome)
    with pytest.raises(ValueError, match="one cluster"):
        bradley_terry(["a", "b"], ["b", "a"], [1, 1], clusters=[1])
