"""Agreement beyond chance: published worked examples, statsmodels' figures, coverage."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats.agreement import cohen_kappa, fleiss_kappa, kappa_table, krippendorff_alpha

NONE = float("nan")
# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section D: four observers, twelve units.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
    [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
]
# Hout et al. 1987, wives and husbands on four ordered answers; the table of R's vcd::Kappa.
COUPLES = [[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]]
# The worked example of Fleiss' kappa with 14 raters, 10 subjects, 5 categories.
RATED = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


@pytest.mark.parametrize(
    "weights, kappa, low, high",
    [
        ("none", 0.12933025404157042, -0.005120399012919524, 0.2637809070960604),
        ("linear", 0.23738062755798084, 0.08388343199118839, 0.39087782312477326),
        ("quadratic", 0.3320455862468612, 0.14134594742300102, 0.5227452250707214),
    ],
)
def test_kappa_is_statsmodels(weights: str, kappa: float, low: float, high: float) -> None:
    """cohens_kappa of statsmodels 0.15; R's vcd prints 0.1293 (0.0686) and 0.2374 (0.0783). Its half-width,
    taken to Fisher's z and back."""
    found = cohen_kappa(COUPLES, weights)  # type: ignore[arg-type]
    off = (high - low) / 2 / (1 - kappa**2)
    bounds = np.tanh(np.arctanh(kappa) - off), np.tanh(np.arctanh(kappa) + off)
    assert (found.value, found.low, found.high) == pytest.approx((kappa, *bounds), abs=1e-9)
    assert found.n == 91


def test_kappa_of_grant_proposals() -> None:
    assert cohen_kappa([[20, 5], [10, 15]]).value == pytest.approx(0.4, abs=1e-12)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=2, max_size=40))
def test_kappa_is_its_definition(rows: list[tuple[str, str]]) -> None:
    """Agreement item by item against agreement over all pairs of the one's and the other's labels."""
    first, second = [a for a, _ in rows], [b for _, b in rows]
    found = cohen_kappa(kappa_table(first, second, "abc"))
    seen = np.mean([a == b for a, b in rows])
    chance = np.mean([a == b for a in first for b in second])
    if chance == 1:
        assert found.value is None and "all ratings are the same" in found.reason
    else:
        assert found.value == pytest.approx((seen - chance) / (1 - chance), abs=1e-9)


def test_kappa_tables_name_what_is_unknown() -> None:
    assert kappa_table(["pass", "fail"], ["pass", "pass"], ["pass", "fail"]).tolist() == [[1, 0], [1, 0]]
    with pytest.raises(ValueError, match="'maybe' is not one of the categories"):
        kappa_table(["pass"], ["maybe"], ["pass", "fail"])
    with pytest.raises(ValueError, match="one label per item"):
        kappa_table(["pass"], [], ["pass"])
    with pytest.raises(ValueError, match="square"):
        cohen_kappa([[1, 2]])


def test_fleiss_worked_example() -> None:
    """0.210; statsmodels 0.15 gives 0.20993070442195522."""
    found = fleiss_kappa(RATED)
    assert found.value == pytest.approx(0.20993070442195522, abs=1e-12)
    assert (found.n, found.reason) == (10, "few items")


def test_fleiss_of_two_raters_is_the_chance_of_a_pair() -> None:
    """Scott's pi, by its definition over all pairs of ratings."""
    table = [[2, 0], [1, 1], [0, 2], [2, 0], [1, 1], [2, 0]]
    shares = np.sum(table, axis=0) / 12
    expected = float((shares**2).sum())
    assert fleiss_kappa(table).value == pytest.approx((4 / 6 - expected) / (1 - expected), abs=1e-12)


def test_fleiss_error_is_the_jackknifes() -> None:
    """Linearisation and leaving one item out agree for many items."""
    chance = np.random.default_rng(12)

    def drawn(n: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
        p = np.where(chance.random(n) < 0.6, 0.85, 0.25)
        passed = chance.binomial(5, p)
        return np.stack([passed, 5 - passed], axis=1)

    table = drawn(400)
    found = fleiss_kappa(table)
    left_out = np.array([fleiss_kappa(np.delete(table, at, axis=0)).value for at in range(400)], dtype=float)
    error = np.sqrt(399 / 400 * ((left_out - left_out.mean()) ** 2).sum())
    assert found.low is not None and found.high is not None and found.value is not None
    off = (np.arctanh(found.high) - np.arctanh(found.low)) / 2 * (1 - found.value**2)
    assert off == pytest.approx(1.959964 * error, rel=0.01)


@pytest.mark.parametrize("level, alpha", [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_worked_example(level: str, alpha: float) -> None:
    found = krippendorff_alpha(OBSERVERS, level)  # type: ignore[arg-type]
    assert found.value == pytest.approx(alpha, abs=5e-4)
    assert found.n == 11 and found.low is not None and found.high is not None
    assert found.low < alpha < found.high and found.reason == "few items"


@pytest.mark.parametrize(
    "level, alpha",
    [("nominal", 0.743421052631579), ("ordinal", 0.8153875037548814), ("interval", 0.8491071428571428)],
)
def test_alpha_is_the_packages(level: str, alpha: float) -> None:
    """The krippendorff package 0.9 on the same data."""
    assert krippendorff_alpha(OBSERVERS, level).value == pytest.approx(alpha, abs=1e-9)  # type: ignore[arg-type]


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=4), min_size=2, max_size=8))
def test_alpha_is_its_definition(items: list[list[int]]) -> None:
    """Disagreement within items against disagreement over all pairs of ratings, pair by pair."""
    widest = max(map(len, items))
    table = np.array([[*item, *[NONE] * (widest - len(item))] for item in items]).T
    ratings = [value for item in items for value in item]
    within = sum(sum((a - b) ** 2 for a, b in permutations(item, 2)) / (len(item) - 1) for item in items)
    overall = sum((a - b) ** 2 for a, b in permutations(ratings, 2)) / (len(ratings) - 1)
    found = krippendorff_alpha(table, "interval", resamples=20)
    if overall == 0:
        assert found.value is None
    else:
        assert found.value == pytest.approx(1 - within / overall, abs=1e-9)


def test_without_data_or_spread() -> None:
    empty = np.zeros((0, 3))
    assert (fleiss_kappa(empty).value, fleiss_kappa(empty).reason) == (None, "no data")
    assert (cohen_kappa(np.zeros((2, 2))).value, cohen_kappa(np.zeros((2, 2))).reason) == (None, "no data")
    full = cohen_kappa([[5, 0], [0, 5]])
    assert (full.value, full.low, full.reason) == (1.0, None, "the items have no spread")
    assert cohen_kappa([[1, 0], [0, 0]]).value is None
    assert fleiss_kappa([[3, 0], [3, 0]]).value is None
    assert fleiss_kappa([[2, 1]]).reason == "a single item has no spread"
    with pytest.raises(ValueError, match="same number of raters"):
        fleiss_kappa([[2, 0], [1, 0]])
    assert krippendorff_alpha([[1, NONE], [NONE, 2]]).reason == "no item has two ratings"
    assert krippendorff_alpha([[1, 1], [1, 1]]).value is None
    assert krippendorff_alpha([[1.0], [2.0]]).reason == "a single item has no spread"


def test_alpha_keeps_to_its_counts() -> None:
    """Raters may swap places from item to item: only the counts matter."""
    shuffled = np.array(OBSERVERS)
    for column in range(shuffled.shape[1]):
        shuffled[:, column] = np.roll(shuffled[:, column], column)
    assert krippendorff_alpha(shuffled).value == krippendorff_alpha(OBSERVERS).value
    assert Counter(np.isnan(shuffled).sum(axis=0)) == Counter(np.isnan(np.array(OBSERVERS)).sum(axis=0))
