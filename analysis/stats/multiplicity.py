"""Many tests at once: adjusted p values, in the order given. A test without p stays without one."""

from collections.abc import Sequence

import numpy as np

from analysis.stats.results import Floats, Integers


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Family-wise error (Holm 1979, Scand. J. Statist. 6:65): step down over m tests.

    The i-th smallest of m becomes max over j ≤ i of (m − j + 1) · p, at most 1. None is a test that
    was not carried out: it stays None and does not count in m. Raises ValueError outside 0..1.
    """
    p, order, places = _sorted(p_values)
    steps = p * np.arange(len(p), 0, -1)
    return _put_back(np.minimum(1.0, np.maximum.accumulate(steps)), order, places, len(p_values))


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """False discovery rate (Benjamini & Hochberg 1995, JRSS B 57:289): step up over m tests.

    The i-th smallest of m becomes min over j ≥ i of m/j · p, at most 1. None as in `holm`.
    """
    p, order, places = _sorted(p_values)
    steps = p * len(p) / np.arange(1, len(p) + 1)
    smallest = np.minimum.accumulate(steps[::-1])[::-1]
    return _put_back(np.minimum(1.0, smallest), order, places, len(p_values))


def _sorted(p_values: Sequence[float | None]) -> tuple[Floats, Integers, list[int]]:
    """Ascending p values, the order that sorts them, and where they stood among all."""
    places = [at for at, p in enumerate(p_values) if p is not None]
    known = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if not ((known >= 0) & (known <= 1)).all():
        raise ValueError("a p value lies between 0 and 1")
    order = np.argsort(known, kind="stable").astype(np.int64)
    return known[order], order, places


def _put_back(adjusted: Floats, order: Integers, places: list[int], total: int) -> list[float | None]:
    found: list[float | None] = [None] * total
    for at, value in zip(order, adjusted, strict=True):
        found[places[at]] = float(value)
    return found
