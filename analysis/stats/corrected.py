"""Figures from a judge, corrected by what people said of a part of the items."""

from math import sqrt

import numpy as np

from analysis.stats.results import (
    EMPTY,
    Floats,
    Interval,
    Values,
    no_interval,
    normal_interval,
    numbers,
    same_length,
)
from judges.metrics import Z

FEW_LABELS = 30


def ppi_mean(labels: Values, judged: Values, judged_only: Values, *, tuned: bool = True) -> Interval:
    """The mean label over all items, by prediction-powered inference (Angelopoulos et al. 2023,
    arXiv 2301.09633, Algorithm 1): the judge's mean plus the mean of label − judge where both are known.

    (n,) `labels` by people and (n,) `judged` of the same items, (N,) `judged_only` of the others, all in
    one unit, both samples drawn alike from the same items. `tuned` weighs the judge by how well it
    follows the labels, cut to 0..1 (PPI++, arXiv 2311.01453, §6), which is never much worse than the
    labels alone. Normal interval; below 30 labels the reason says that it may be too narrow.
    """
    y, f, g = numbers(labels, "labels"), numbers(judged, "judged"), numbers(judged_only, "judged_only")
    same_length(labels=y, judged=f)
    n, others, method = len(y), len(g), "prediction-powered"
    if n == 0:
        return no_interval(None, 0, method, "no labels")
    weight = _weight(y, f, g) if tuned else 1.0
    if not others and not tuned:
        return no_interval(float(y.mean()), n, method, "no items beyond the labelled")
    rectified = y - weight * f
    value = float(rectified.mean() + (weight * g.mean() if others else 0.0))
    if n == 1:
        return no_interval(value, 1, method, "a single label has no spread")
    variance = float(rectified.var(ddof=1)) / n + (weight**2 * float(g.var()) / others if others else 0.0)
    if variance == 0:
        return no_interval(value, n + others, method, "no spread")
    few = f"only {n} labels" if n < FEW_LABELS else ""
    return normal_interval(value, sqrt(variance), n + others, method, few)


def _weight(y: Floats, f: Floats, g: Floats) -> float:
    """λ = Cov(label, judge) / ((1 + n/N) Var(judge)); 0 where the judge does not vary or is not needed."""
    if len(y) < 2 or not len(g):
        return 0.0
    spread = float(np.concatenate([f, g]).var(ddof=1)) * (1 + len(y) / len(g))
    return float(np.clip(np.cov(y, f, ddof=0)[0, 1] / spread, 0.0, 1.0)) if spread > 0 else 0.0


def ppi_half_width(labels: Values, judged: Values, judged_only: Values, more: int = 0) -> float | None:
    """Half of the interval that `ppi_mean` (tuned) is expected to have once `more` of the others are labelled
    too and spread alike; None where the labels show no spread, or fewer are left."""
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
    return Z * sqrt(variance) if variance > 0 else None


def rogan_gladen(
    positive: int, n: int, *, hits: int, truly_positive: int, rejections: int, truly_negative: int
) -> Interval:
    """The true share 0..1 of items that pass, from a judge that errs at known rates (Rogan & Gladen 1978).

    The judge passed `positive` of n items. Of `truly_positive` labelled items it passed `hits`
    (sensitivity), of `truly_negative` it refused `rejections` (specificity). Interval by Lang & Reiczigel
    2014 (Prev. Vet. Med. 113:13), which counts the error of both rates. Cut to 0..1. Without a value when
    a rate is unknown, or when the judge passes wrong items as readily as right ones.
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
    bounds = _lang_reiczigel(positive, n, hits, truly_positive, rejections, truly_negative)
    if bounds is None:
        return no_interval(value, n, method, "too few labelled items to tell how the judge errs")
    few = min(truly_positive, truly_negative) < FEW_LABELS
    return Interval(value, *bounds, n, method, "few labelled items of one kind" if few else "")


def _lang_reiczigel(
    positive: int, n: int, hits: int, truly_positive: int, rejections: int, truly_negative: int
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
    half = Z * sqrt(variance) / power
    middle = share + shift
    return min(1.0, max(0.0, middle - half)), min(1.0, max(0.0, middle + half))
