"""What excluded trials could change: the verdict again with the worst and the best they could have been.

Bounds without assumptions on why a value is missing (Manski 1990, Am. Econ. Rev. P&P 80:319).
"""

from dataclasses import dataclass

import numpy as np

from analysis.stats.intervals import wilson
from analysis.stats.paired import paired_binary, paired_mean, pairs_of
from analysis.stats.results import Difference, Floats, Interval, Values, same_length


@dataclass(frozen=True, slots=True)
class ShareBounds:
    """A share with every excluded trial wrong, and with every one right."""

    worst: Interval
    best: Interval
    excluded: int


@dataclass(frozen=True, slots=True)
class PairedBounds:
    """A difference over the pairs that are known, and with the excluded against and for the second.

    `could_change`: the conclusion (better, worse, not shown) would not be the same in all three.
    """

    seen: Difference
    worst: Difference
    best: Difference
    excluded: int

    @property
    def could_change(self) -> bool:
        return len({direction(each) for each in (self.seen, self.worst, self.best)}) > 1


def direction(found: Difference) -> int:
    """1 where the second is shown to be higher, −1 lower, 0 where neither is shown."""
    if not found.shown or found.interval.low is None:
        return 0
    return 1 if found.interval.low > 0 else -1


def share_bounds(right: int, scored: int, excluded: int) -> ShareBounds:
    """Wilson intervals of right of (scored + excluded), and of right + excluded. All are counts."""
    if excluded < 0:
        raise ValueError("a count is negative")
    n = scored + excluded
    return ShareBounds(wilson(right, n), wilson(right + excluded, n), excluded)


def paired_bounds(first: Values, second: Values, *, low: float = 0.0, high: float = 1.0) -> PairedBounds:
    """(n,) values each, NaN where a trial has none, within `low`..`high` (ValueError otherwise).

    Verdicts (0 and 1 on that scale) are compared by `paired_binary`, other values by `paired_mean`.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    same_length(first=a, second=b)
    known = np.concatenate([a[~np.isnan(a)], b[~np.isnan(b)]])
    if len(known) and (known.min() < low or known.max() > high):
        raise ValueError(f"a value lies outside {low:g} to {high:g}")
    binary = bool((low, high) == (0.0, 1.0) and np.isin(known, (0, 1)).all())

    def compared(x: Floats, y: Floats) -> Difference:
        return paired_binary(pairs_of(x, y)) if binary else paired_mean(x, y)

    whole = ~np.isnan(a) & ~np.isnan(b)
    return PairedBounds(
        seen=compared(a[whole], b[whole]),
        worst=compared(np.nan_to_num(a, nan=high), np.nan_to_num(b, nan=low)),
        best=compared(np.nan_to_num(a, nan=low), np.nan_to_num(b, nan=high)),
        excluded=int((~whole).sum()),
    )
