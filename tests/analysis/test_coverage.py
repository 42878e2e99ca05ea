"""What intervals and tests promise, by short simulations; `python -m tests.analysis.coverage` is long."""

import inspect
import re
from types import ModuleType

import pytest

from analysis.stats import (
    agreement,
    bootstrap,
    bradley_terry,
    corrected,
    intervals,
    multiplicity,
    noninferiority,
    paired,
    power,
    ranking,
)
from tests.analysis.coverage import INTERVALS, TESTS, Case

MODULES = (
    agreement, bootstrap, bradley_terry, corrected, intervals, multiplicity, noninferiority, paired, ranking,
)  # fmt: skip
PROMISE = ("Interval", "Difference", "Significance", "Strengths", "NonInferiority")
PARTS = {"t_test", "judged"}
"""What `paired_mean` and the tests of non-inferiority call, and are simulated in."""
ADJUST = {"holm", "benjamini_hochberg", "rank_intervals"}


@pytest.mark.parametrize("case", INTERVALS, ids=lambda case: case.name)
def test_it_holds_the_truth_in_95_of_100(case: Case) -> None:
    """Within two Monte Carlo errors."""
    seen, (low, high) = case.share(case.short), case.bounds
    off = 2 * case.error(case.short)
    print(f"{case.name}: {100 * seen:.2f} % of {case.short:,}")
    assert low - off <= seen <= high + off


@pytest.mark.parametrize("case", TESTS, ids=lambda case: case.name)
def test_it_rejects_the_equal_in_5_of_100_at_most(case: Case) -> None:
    seen, (_, high) = case.share(case.short), case.bounds
    print(f"{case.name}: {100 * seen:.2f} % of {case.short:,}")
    assert seen <= high + 2 * case.error(case.short)


def test_every_function_is_simulated() -> None:
    """All that returns an interval or a test, and what adjusts p values."""
    simulated = {case.function.__name__ for case in (*INTERVALS, *TESTS)}
    assert {name for module in MODULES for name in promising(module)} - PARTS == simulated - ADJUST
    assert simulated >= ADJUST


def test_every_function_names_the_source_of_its_formula() -> None:
    named = {case.function for case in (*INTERVALS, *TESTS)} | {
        intervals.spread,
        paired.wald_error,
        paired.tango_z,
    }
    named |= {
        each for _, each in inspect.getmembers(power, inspect.isfunction) if each.__module__ == power.__name__
    }
    for each in named:
        if not each.__name__.startswith("_"):
            assert re.search(r"\b(1[5-9]|20)\d\d\b", each.__doc__ or ""), each.__name__


def promising(module: ModuleType) -> list[str]:
    return [
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and getattr(inspect.signature(function).return_annotation, "__name__", "") in PROMISE
    ]
