"""Figures from a judge, corrected by what people said of a part of the items."""

from dataclasses import replace
from math import sqrt

import numpy as np
from scipy.special import stdtrit

from analysis.stats.results import (
    EMPTY,
    Floats,
    Integers,
    Interval,
    Labels,
    Values,
    codes_of,
    no_interval,
    normal_interval,
    numbers,
    same_length,
    t_interval_of,
)
from judges.metrics import TAIL, Z

FEW_LABELS = 30


def ppi_mean(
    labels: Values,
    judged: Values,
    judged_only: Values,
    *,
    tuned: bool = True,
    clusters: tuple[Labels, Labels] | None = None,
) -> Interval:
    """The mean label over all items, by prediction-powered inference (Angelopoulos et al. 2023,
    arXiv 2301.09633, Algorithm 1): the judge's mean plus the mean of label − judge where both are known.

    (n,) `labels` by people and (n,) `judged` of the same items, (N,) `judged_only` of the others, all in
    one unit, both samples drawn alike from the same items. `tuned` weighs the judge by how well it
    follows the labels, cut to 0..1 (PPI++, arXiv 2311.01453, §6), which is never much worse than the
    labels alone. `clusters` are (n,) and (N,) names of what hangs together, such as the item that epochs
    repeat: then the error is clustered (Liang & Zeger 1986) over both samples, and the interval is by t with
    one degree of freedom less than there are clusters with labels. Else normal interval; below 30 labels, or
    clusters with labels, the reason says that it may be too narrow.
    """
    y, f, g = numbers(labels, "labels"), numbers(judged, "judged"), numbers(judged_only, "judged_only")
    same_length(labels=y, judged=f)
    n, others, method = len(y), len(g), "prediction-powered"
    if n == 0:
        return no_interval(None, 0, method, "no labels")
    weight = _weight(y, f, g) if tuned else 1.0
    if not others and not tuned:
        return no_interval(float(y.mean()), n, method, "no items beyond the labelled")
    value = float((y - weight * f).mean() + (weight * g.mean() if others else 0.0))
    codes, groups = _codes(clusters, n, others)
    if n == 1:
        return no_interval(value, 1, method, "a single label has no spread")
    if groups == 1:
        return no_interval(value, n + others, method, "labels of a single item have no spread")
    variance = _variance(y - weight * f, g, weight, codes, groups)
    if variance <= 1e-15:
        return no_interval(value, n + others, method, "no spread")
    few = f"only {groups} {'labels' if groups == n else 'labelled items'}" if groups < FEW_LABELS else ""
    if not _repeats(codes):
        return normal_interval(value, sqrt(variance), n + others, method, few)
    return replace(t_interval_of(value, sqrt(variance), groups - 1, n + others, method), reason=few)


def _repeats(codes: Integers) -> bool:
    return len(np.unique(codes)) < len(codes)


def _codes(clusters: tuple[Labels, Labels] | None, n: int, others: int) -> tuple[Integers, int]:
    """A number for the cluster of each labelled item, then of the others, and how many hold labels."""
    if clusters is None:
        return np.arange(n + others), n
    first, second = (np.asarray(each) for each in clusters)
    same_length(labels=np.empty(n), clusters=first)
    same_length(judged_only=np.empty(others), clusters=second)
    codes, _ = codes_of(np.concatenate([first, second]) if others else first, "clusters")
    return codes, len(np.unique(codes[:n]))


def _variance(rectified: Floats, g: Floats, weight: float, codes: Integers, groups: int) -> float:
    """Of the estimate: each item's pull, summed over its cluster. With a factor for few labelled clusters."""
    own = (rectified - rectified.mean()) / len(rectified) * sqrt(groups / (groups - 1))
    beyond = weight * (g - g.mean()) / len(g) if len(g) else g
    sums = np.bincount(codes, np.concatenate([own, beyond]))
    return float(sums @ sums)


def _weight(y: Floats, f: Floats, g: Floats) -> float:
    """λ = Cov(label, judge) / ((1 + n/N) Var(judge)); 0 where the judge does not vary or is not needed."""
    if len(y) < 2 or not len(g):
        return 0.0
    spread = float(np.concatenate([f, g]).var(ddof=1)) * (1 + len(y) / len(g))
    return float(np.clip(np.cov(y, f, ddof=0)[0, 1] / spread, 0.0, 1.0)) if spread > 0 else 0.0


def ppi_half_width(
    labels: Values,
    judged: Values,
    judged_only: Values,
    more: int = 0,
    *,
    clusters: tuple[Labels, Labels] | None = None,
) -> float | None:
    """Half of the interval that `ppi_mean` (tuned) is expected to have once `more` of the others are labelled
    too, and spread and hang together alike: by the same formula (PPI++, arXiv 2311.01453, §6). None where the
    labels show no spread, or fewer are left.
    """
    y, f, g = numbers(labels, "labels"), numbers(judged, "judged"), numbers(judged_only, "judged_only")
    same_length(labels=y, judged=f)
    n, left = len(y) + more, len(g) - more
    if len(y) < 2 or left < 0:
        return None
    spread = float(np.concatenate([f, g]).var(ddof=1))
    follows = float(np.cov(y, f, ddof=0)[0, 1])
    ratio = 1 + n / left if left else 0.0
    weight = float(np.clip(follows / (ratio * spread), 0.0, 1.0)) if left and spread > 0 else 0.0
    variance = float((y - weight * f).var(ddof=1)) / n
    variance += weight**2 * float(g.var()) / left if left else 0.0
    variance *= _inflation(y, f, g, clusters)
    return Z * sqrt(variance) if variance > 0 else None


def _inflation(y: Floats, f: Floats, g: Floats, clusters: tuple[Labels, Labels] | None) -> float:
    """How much wider the squared interval is by its clusters."""
    codes, groups = _codes(clusters, len(y), len(g))
    weight = _weight(y, f, g)
    alone = _variance(y - weight * f, g, weight, np.arange(len(y) + len(g)), len(y))
    if clusters is None or groups < 2 or alone <= 1e-15 or not _repeats(codes):
        return 1.0
    t = float(stdtrit(groups - 1, 1 - TAIL))
    return _variance(y - weight * f, g, weight, codes, groups) / alone * (t / Z) ** 2


def rogan_gladen_effect(judged: Values, people: Values, clusters: Labels) -> float:
    """How much wider the variance of `rogan_gladen` is by clusters, such as epochs of an item; below 1 where
    labelled responses, which are among the judged, outweigh that.

    (n,) `judged` are 1 and 0, (n,) `people` 1, 0 or NaN where nobody labelled. The share is linearised in the
    three that it is made of; what each response pulls at it is summed over its cluster (Binder 1983,
    Int. Stat. Rev. 51:279).
    """
    said, truth = numbers(judged, "judged"), np.asarray(people, dtype=np.float64)
    codes, groups = codes_of(clusters, "clusters")
    same_length(judged=said, people=truth, clusters=codes)
    right, wrong = truth == 1, truth == 0
    labelled = len(np.unique(codes[right | wrong]))
    if groups == len(said) or not right.any() or not wrong.any() or labelled < 2:
        return 1.0
    share, hits, rejections = float(said.mean()), float(said[right].mean()), float(1 - said[wrong].mean())
    power = hits + rejections - 1
    if power <= 0:
        return 1.0
    value = min(1.0, max(0.0, (share + rejections - 1) / power))
    alone = share * (1 - share) / len(said)
    alone += value**2 * hits * (1 - hits) / right.sum()
    alone += (1 - value) ** 2 * rejections * (1 - rejections) / wrong.sum()
    pull = (said - share) / len(said)
    pull[right] -= value * (said[right] - hits) / right.sum()
    pull[wrong] += (1 - value) * (1 - said[wrong] - rejections) / wrong.sum()
    sums = np.bincount(codes, pull)
    together = float(sums @ sums) * labelled / (labelled - 1)
    return together / alone if alone > 1e-15 else 1.0


def rogan_gladen(
    positive: int,
    n: int,
    *,
    hits: int,
    truly_positive: int,
    rejections: int,
    truly_negative: int,
    effect: float = 1.0,
) -> Interval:
    """The true share 0..1 of items that pass, from a judge that errs at known rates (Rogan & Gladen 1978).

    The judge passed `positive` of n items. Of `truly_positive` labelled items it passed `hits`
    (sensitivity), of `truly_negative` it refused `rejections` (specificity). Interval by Lang & Reiczigel
    2014 (Prev. Vet. Med. 113:13), which counts the error of both rates. Cut to 0..1. Without a value when
    a rate is unknown, or when the judge passes wrong items as readily as right ones. `effect` is that of
    `rogan_gladen_effect` where items hang together: the interval is wider by its root.
    """
    for part, whole in ((positive, n), (hits, truly_positive), (rejections, truly_negative)):
        if not 0 <= part <= whole:
            raise ValueError(f"{part} of {whole} is not a count")
    method = "Rogan–Gladen"
    if n == 0:
        return no_interval(None, 0, method, EMPTY)
    if not truly_positive or not truly_negative:
        return no_interval(None, n, method, "needs labelled items of both kinds")
    power = hits / truly_positive + rejections / truly_negative - 1
    if power <= 0:
        return no_interval(None, n, method, "the judge passes wrong answers as readily as right ones")
    value = (positive / n + rejections / truly_negative - 1) / power
    value = min(1.0, max(0.0, value))
    bounds = _lang_reiczigel(positive, n, hits, truly_positive, rejections, truly_negative, effect)
    if bounds is None:
        return no_interval(value, n, method, "too few labelled items to tell how the judge errs")
    few = min(truly_positive, truly_negative) < FEW_LABELS
    return Interval(value, *bounds, n, method, "few labelled items of one kind" if few else "")


def _lang_reiczigel(
    positive: int, n: int, hits: int, truly_positive: int, rejections: int, truly_negative: int, effect: float
) -> tuple[float, float] | None:
    """Pseudo-counts of z²/2 to the share and 1 to each rate, then a shifted Wald interval.

    None where with these the judge tells nothing apart.
    """
    passed = (positive + Z * Z / 2) / (n + Z * Z)
    sensitivity = (hits + 1) / (truly_positive + 2)
    specificity = (rejections + 1) / (truly_negative + 2)
    power = sensitivity + specificity - 1
    if power <= 0:
        return None
    share = (passed + specificity - 1) / power
    of_hits = sensitivity * (1 - sensitivity) / (truly_positive + 2)
    of_rejections = specificity * (1 - specificity) / (truly_negative + 2)
    shift = 2 * Z * Z * (share * of_hits - (1 - share) * of_rejections)
    variance = passed * (1 - passed) / (n + Z * Z) + share**2 * of_hits + (1 - share) ** 2 * of_rejections
    half = Z * sqrt(variance * effect) / power
    middle = share + shift
    return min(1.0, max(0.0, middle - half)), min(1.0, max(0.0, middle + half))
