"""How much verdicts hang on how an item was asked: spread over its variants, and over the variants of a run.

An item's value under a variant is the mean over the epochs of that variant; an item is one observation,
however often it was asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from judges.metrics import Estimate, mean_estimate, proportion

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class VariantFigure:
    """The items' mean under one variant, and its difference from the original over the items that have both;
    of the original none. `place` is 0 for the original."""

    place: int
    estimate: Estimate
    difference: Estimate | None


@dataclass(frozen=True)
class ItemSpread:
    """An item over its scored variants: mean, standard deviation (n − 1), extremes, and the value of each."""

    item: int
    mean: float
    sd: float | None
    lowest: float
    highest: float
    flips: bool
    values: Sequence[float | None]


@dataclass(frozen=True)
class Spread:
    """`sd` is of the variants' figures, `item_sd` the mean of the items' own; `flips` the share of items that
    are right in one trial and wrong in another, of those with several scored. Items: the widest first."""

    variants: Sequence[VariantFigure]
    mean: float
    sd: float | None
    item_sd: Estimate
    flips: Estimate
    items: Sequence[ItemSpread]
    shares: bool

    @property
    def lowest(self) -> VariantFigure:
        return min(self.variants, key=lambda each: each.estimate.value or 0.0)

    @property
    def highest(self) -> VariantFigure:
        return max(self.variants, key=lambda each: each.estimate.value or 0.0)


def spread_of(
    items: npt.NDArray[np.int64], places: npt.NDArray[np.int64], values: Floats, passed: Floats, most: int
) -> Spread | None:
    """Of n scored trials as (n,) arrays: item, variant (0 the original), value, and 1, 0 or NaN for passed.
    The `most` widest items are kept. None without a trial."""
    if not len(items):
        return None
    known, at = np.unique(items, return_inverse=True)
    table = _means(at, places, values, len(known))
    counts = (~np.isnan(table)).sum(axis=1)
    means, deviations = _row_means(table, counts), _row_sds(table, counts)
    right = np.bincount(at, weights=passed == 1, minlength=len(known)) > 0
    wrong = np.bincount(at, weights=passed == 0, minlength=len(known)) > 0
    trials = np.bincount(at, minlength=len(known))
    flips, several = right & wrong, trials > 1
    shares = bool(np.isin(values, (0.0, 1.0)).all())
    variants = [_figure(table, place, shares) for place in range(table.shape[1])]
    variants = [each for each in variants if each.estimate.n]
    figures = np.array([each.estimate.value for each in variants])
    widths = deviations[counts > 1]
    return Spread(
        variants=variants,
        mean=float(means.mean()),
        sd=float(figures.std(ddof=1)) if len(figures) > 1 else None,
        item_sd=_within(_mean(widths), 0.0, np.inf),
        flips=proportion(int(flips[several].sum()), int(several.sum())),
        items=_widest(known, table, means, deviations, flips, counts, most),
        shares=shares,
    )


def _means(at: npt.NDArray[np.intp], places: npt.NDArray[np.int64], values: Floats, size: int) -> Floats:
    """(items, variants), NaN where nothing was scored."""
    width = int(places.max()) + 1
    cell = at * width + places
    count = np.bincount(cell, minlength=size * width).astype(np.float64)
    count[count == 0] = np.nan
    found: Floats = (np.bincount(cell, weights=values, minlength=size * width) / count).reshape(size, width)
    return found


def _row_means(table: Floats, counts: npt.NDArray[np.intp]) -> Floats:
    found: Floats = np.nansum(table, axis=1) / counts
    return found


def _row_sds(table: Floats, counts: npt.NDArray[np.intp]) -> Floats:
    """0 for an item with one variant."""
    off = table - _row_means(table, counts)[:, None]
    found: Floats = np.sqrt(np.nansum(off**2, axis=1) / np.maximum(counts - 1, 1))
    return found


def _figure(table: Floats, place: int, shares: bool) -> VariantFigure:
    column = table[:, place]
    own = column[~np.isnan(column)]
    if shares and np.isin(own, (0.0, 1.0)).all():
        estimate = proportion(int(own.sum()), len(own))
    else:
        estimate = _mean(own)
        if shares and estimate.low is not None and estimate.high is not None:
            estimate = replace(estimate, low=max(0.0, estimate.low), high=min(1.0, estimate.high))
    if not place:
        return VariantFigure(place, estimate, None)
    off = column - table[:, 0]
    difference = _within(_mean(off[~np.isnan(off)]), *((-1.0, 1.0) if shares else (-np.inf, np.inf)))
    return VariantFigure(place, estimate, difference)


def _within(found: Estimate, lowest: float, highest: float) -> Estimate:
    """Its bounds cut to what can be; none where all values are the same, which says nothing of the spread."""
    if found.low is None or found.high is None:
        return found
    if found.low == found.high:
        return replace(found, low=None, high=None)
    return replace(found, low=max(lowest, found.low), high=min(highest, found.high))


def _mean(values: Floats) -> Estimate:
    return mean_estimate(float(values.sum()), float((values**2).sum()), len(values))


def _widest(
    known: npt.NDArray[np.int64], table: Floats, means: Floats, deviations: Floats,
    flips: npt.NDArray[np.bool_], counts: npt.NDArray[np.intp], most: int,
) -> list[ItemSpread]:  # fmt: skip
    order = np.lexsort((known, -deviations))[:most]
    return [
        ItemSpread(
            item=int(known[row]),
            mean=float(means[row]),
            sd=float(deviations[row]) if counts[row] > 1 else None,
            lowest=float(np.nanmin(table[row])),
            highest=float(np.nanmax(table[row])),
            flips=bool(flips[row]),
            values=[None if np.isnan(value) else float(value) for value in table[row]],
        )
        for row in order
    ]
