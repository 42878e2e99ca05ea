"""The four published systems: every figure of the compare and benchmark pages, from the labels."""

import json
from itertools import combinations

import numpy as np
import pytest

from analysis.stats.intervals import wilson
from analysis.stats.multiplicity import holm
from analysis.stats.paired import Pairs, mean_of_runs, paired_binary, paired_mean, pairs_of
from analysis.stats.ranking import places, rank_intervals
from tests.conftest import SHARED

pytestmark = pytest.mark.shared
SYSTEMS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


@pytest.fixture(scope="module")
def verdicts() -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """(1319, 4): the publisher's labels."""
    with (SHARED / "data" / "gsm8k" / "example_model_solutions.jsonl").open() as lines:
        rows = [json.loads(line) for line in lines]
    return np.array([[float(row[system]["is_correct"]) for system in SYSTEMS] for row in rows])


def points(low: float | None, high: float | None) -> tuple[float, float]:
    assert low is not None and high is not None
    return round(100 * low, 1), round(100 * high, 1)


def test_accuracies(verdicts: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> None:
    shown = [(286, 19.5, 24.0), (515, 36.4, 41.7), (458, 32.2, 37.3), (742, 53.6, 58.9)]
    for column, (right, low, high) in enumerate(shown):
        found = wilson(int(verdicts[:, column].sum()), 1319)
        assert verdicts[:, column].sum() == right and points(found.low, found.high) == (low, high)


def test_all_pairs(verdicts: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> None:
    shown = {
        (0, 1): (17.4, 14.7, 20.0), (0, 2): (13.0, 10.4, 15.7), (0, 3): (34.6, 31.7, 37.5),
        (2, 1): (4.3, 1.5, 7.1), (1, 3): (17.2, 14.4, 20.0), (2, 3): (21.5, 18.7, 24.4),
    }  # fmt: skip
    differences = {
        pair: paired_binary(pairs_of(verdicts[:, pair[0]], verdicts[:, pair[1]])) for pair in shown
    }
    for pair, (value, low, high) in shown.items():
        found = differences[pair].interval
        assert round(100 * (found.value or 0), 1) == value and points(found.low, found.high) == (low, high)
    adjusted = dict(zip(shown, holm([found.test.p for found in differences.values()]), strict=True))
    assert round(adjusted[2, 1] or 0, 3) == 0.003
    assert all((p or 0) < 0.001 for pair, p in adjusted.items() if pair != (2, 1))
    assert pairs_of(verdicts[:, 0], verdicts[:, 1]) == Pairs(both=222, fixed=293, broken=64, neither=740)


def test_groups(verdicts: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> None:
    """Verification 47.6 % less finetuning 28.2 %: +19.4 pts [17.4, 21.5]."""
    verification, finetuning = mean_of_runs(verdicts[:, [1, 3]]), mean_of_runs(verdicts[:, [0, 2]])
    found = paired_mean(finetuning, verification).interval
    assert round(100 * (found.value or 0), 1) == 19.4 and points(found.low, found.high) == (17.4, 21.5)


def test_the_last_section_is_not_shown() -> None:
    """6+ steps, 87 items: +3.4 pts [−3.3, 10.2] includes 0, although only nine pairs differ."""
    found = paired_binary(Pairs(both=2, fixed=6, broken=3, neither=76))
    assert points(found.interval.low, found.interval.high) == (-3.3, 10.2)
    assert not found.shown and found.interval.reason == "few pairs differ (9)"


def test_places(verdicts: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> None:
    """All four systems stand apart, the closest pair at p = 0.003."""
    found = {
        pair: paired_binary(pairs_of(verdicts[:, pair[0]], verdicts[:, pair[1]]))
        for pair in combinations(range(4), 2)
    }
    assert places(rank_intervals(4, found)) == ["4", "2", "3", "1"]
