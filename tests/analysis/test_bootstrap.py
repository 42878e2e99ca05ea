"""The BCa bootstrap against scipy's, its coverage, and what it refuses to claim."""

import numpy as np
import pytest
from scipy import stats

from analysis.stats.bootstrap import bootstrap

SKEWED = np.random.default_rng(1).exponential(size=120)


def test_it_is_scipys_up_to_chance() -> None:
    ours = bootstrap(lambda at: float(SKEWED[at].mean()), 120, resamples=20_000)
    theirs = stats.bootstrap(
        (SKEWED,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(5)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)


def test_the_same_each_time() -> None:
    assert bootstrap(lambda at: float(SKEWED[at].mean()), 120, resamples=200) == bootstrap(
        lambda at: float(SKEWED[at].mean()), 120, resamples=200
    )


def test_clusters_are_drawn_whole() -> None:
    chance = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), 5)
    values = chance.normal(size=60)[groups] + 0.1 * chance.normal(size=300)
    naive = bootstrap(lambda at: float(values[at].mean()), 300)
    whole = bootstrap(lambda at: float(values[at].mean()), 300, clusters=groups)
    assert whole.half_width is not None and naive.half_width is not None
    assert whole.half_width > 1.8 * naive.half_width
    means = values.reshape(60, 5).mean(axis=1)
    assert whole.half_width == pytest.approx(1.96 * stats.sem(means), rel=0.1)


def test_uneven_clusters_keep_their_items() -> None:
    seen: set[tuple[int, ...]] = set()

    def note(at: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> float:
        seen.update(tuple(sorted(set(at) & {0, 2})) for _ in [0])
        return float(len(at))

    bootstrap(note, 4, clusters=["a", "b", "a", "c"], resamples=50)
    assert seen <= {(), (0, 2)}


def test_what_it_cannot_tell() -> None:
    mean = lambda at: float(SKEWED[at].mean())  # noqa: E731
    assert bootstrap(mean, 0).reason == "no data"
    single = bootstrap(mean, 1)
    assert (single.value, single.low, single.reason) == (
        float(SKEWED[0]),
        None,
        "a single value has no spread",
    )
    assert bootstrap(mean, 3, clusters=[1, 1, 1]).reason == "a single cluster has no spread"
    assert bootstrap(lambda at: 2.0, 5).reason == "every resample gives the same figure"
    assert bootstrap(lambda at: float("nan"), 5).reason == "the figure cannot be computed from these items"
    rare = bootstrap(lambda at: 1.0 if {0, 1} <= set(at.tolist()) else float("nan"), 9)
    assert rare.reason == "the figure cannot be computed from most resamples of the items"
    with pytest.raises(ValueError, match="one cluster per item"):
        bootstrap(mean, 3, clusters=[1, 2])


def test_many_items_are_affordable() -> None:
    """The jackknife takes blocks, so its work does not grow with the square of n."""
    calls = 0

    def median(at: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> float:
        nonlocal calls
        calls += 1
        return float(at.mean())

    bootstrap(median, 20_000, resamples=50)
    assert calls <= 251
