"""Percentile bootstrap of figures that follow from sums over trials, drawn cluster by cluster."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt

from judges.metrics import TAIL

RESAMPLES = 2_000
SEED = 20_240_229  # the same trials give the same interval
AT_ONCE = 2_000_000  # drawn counts that are held in memory together
PERCENTILE = f"percentile bootstrap, {RESAMPLES:,} resamples"
Sums = npt.NDArray[np.float64]


def bootstrap_interval(
    rows: npt.ArrayLike, clusters: Sequence[Hashable], figure: Callable[[Sums], float | None]
) -> tuple[float | None, float | None]:
    """The 2.5 and 97.5 % quantiles of `figure` over resampled sums of `rows` (trials × statistics).

    Efron & Tibshirani 1993, §13.3. Whole clusters are drawn with replacement. `figure` may say None
    where a resample has no figure; nothing is said where that is so for more than one in ten, or for
    a single cluster.
    """
    array = np.asarray(rows, dtype=float)
    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    size = len(places)
    if size < 2:
        return None, None
    sums = np.zeros((size, array.shape[1]))
    np.add.at(sums, [places[cluster] for cluster in clusters], array)
    chance = np.random.default_rng(SEED)
    figures: list[float] = []
    block = max(1, AT_ONCE // size)
    for start in range(0, RESAMPLES, block):
        drawn = chance.multinomial(size, np.full(size, 1 / size), size=min(block, RESAMPLES - start))
        figures += [value for row in drawn @ sums if (value := figure(row)) is not None]
    if len(figures) < 0.9 * RESAMPLES:
        return None, None
    low, high = np.quantile(figures, [TAIL, 1 - TAIL])
    return float(low), float(high)
