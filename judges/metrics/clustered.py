"""Means of values that hang together in clusters: items of one document, epochs of one item."""

from collections.abc import Hashable, Sequence
from dataclasses import astuple, dataclass, replace
from math import sqrt

import numpy as np
from scipy.special import stdtrit

from judges.metrics import TAIL, Estimate, proportion

T, CLUSTERED, WILSON = "t interval", "t interval, clustered standard error", "Wilson"


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable]) -> Estimate:
    """The mean with a t interval on the clustered standard error, with G − 1 degrees of freedom.

    SE² = G/(G−1) · Σ_g (Σ_{i∈g} (x_i − x̄))² / n² over G clusters: the estimator of Liang & Zeger 1986 as
    in Miller 2024 (arXiv 2411.00640, eq. 4), with the small-sample factor that makes it the plain
    standard error where each cluster holds one value. No bounds for a single cluster.
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0)
    array = np.asarray(values, dtype=float)
    mean = float(array.mean())
    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    size = len(places)
    if size == 1:
        return Estimate(mean, None, None, n)
    sums = np.bincount([places[cluster] for cluster in clusters], array - mean, minlength=size)
    error = sqrt(size / (size - 1) * float(sums @ sums)) / n
    half = float(stdtrit(size - 1, 1 - TAIL)) * error
    return Estimate(mean, mean - half, mean + half, n, interval=T if size == n else CLUSTERED)


def clustered_share(hits: Sequence[float], clusters: Sequence[Hashable]) -> Estimate:
    """A mean of shares in 0..1: Wilson where each cluster holds one yes or no, else clustered, cut to 0..1.

    Where all are 0 or all are 1 the spread says nothing: then Wilson over the clusters.
    """
    groups = len(set(clusters))
    binary = all(hit in (0, 1) for hit in hits)
    correct = int(sum(hits)) if binary else None
    if binary and groups == len(hits):
        found = proportion(int(sum(hits)), len(hits))
        return Estimate(found.value, found.low, found.high, found.n, correct, interval=WILSON)
    if set(hits) in ({0}, {1}):
        found = proportion(groups * int(next(iter(hits))), groups)
        return Estimate(
            found.value, found.low, found.high, len(hits), correct, interval=f"{WILSON} over clusters"
        )
    mean = clustered_mean(hits, clusters)
    if mean.low is None or mean.high is None:
        return Estimate(mean.value, None, None, mean.n, correct)
    return Estimate(
        mean.value, max(0.0, mean.low), min(1.0, mean.high), mean.n, correct, interval=mean.interval
    )


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """Of a share over clusters: n trials, h hits, g clusters, and over clusters Σn², Σnh and Σh²."""

    n: int
    hits: int
    groups: int
    squares: int
    products: int
    hit_squares: int

    def __add__(self, other: "ClusterSums") -> "ClusterSums":
        mine, theirs = astuple(self), astuple(other)
        return ClusterSums(*(one + two for one, two in zip(mine, theirs, strict=True)))


def share_from_sums(sums: ClusterSums) -> Estimate:
    """`clustered_share` of yes and no, from sums alone: Σ(h − n p)² = Σh² − 2p Σnh + p² Σn²."""
    n, hits, groups = sums.n, sums.hits, sums.groups
    if groups == n:
        return replace(proportion(hits, n), interval=WILSON)
    if hits in (0, n):
        found = proportion(groups * (hits > 0), groups)
        return Estimate(found.value, found.low, found.high, n, hits, interval=f"{WILSON} over clusters")
    share = hits / n
    if groups < 2:
        return Estimate(share, None, None, n, hits)
    spread = max(0.0, sums.hit_squares - 2 * share * sums.products + share * share * sums.squares)
    half = float(stdtrit(groups - 1, 1 - TAIL)) * sqrt(groups / (groups - 1) * spread) / n
    return Estimate(share, max(0.0, share - half), min(1.0, share + half), n, hits, interval=CLUSTERED)
