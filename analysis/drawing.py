"""Shapes of charts as numbers: axes with round ticks, smoothed densities, the best for their price. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np
import numpy.typing as npt

BINS = 100
HEIGHT = 40.0
SMOOTH_BINS = 1.5


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high` in the data's unit, with round `ticks` in it."""

    low: float
    high: float
    ticks: Sequence[float]

    def at(self, value: float) -> float:
        """Where a value stands, 0 to 100."""
        span = self.high - self.low or 1.0
        return min(100.0, max(0.0, 100 * (value - self.low) / span))


def round_axis(low: float, high: float, ticks: int = 5) -> Axis:
    """An axis that holds low, high and 0, ending on ticks: 1, 2, 2.5 or 5 times a power of ten apart."""
    low, high = min(low, 0.0), max(high, 0.0)
    if high == low:
        high = low + 1.0
    raw = (high - low) / (ticks - 1)
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    marks = [round(place * step, 12) for place in range(first, last + 1)]
    return Axis(marks[0], marks[-1], marks)


def density_path(values: npt.NDArray[np.int32], high: float) -> str:
    """An SVG path in a box of 100 × 40 over 0..high: a smoothed histogram, its peak 36 high."""
    if not len(values):
        return ""
    counts = np.histogram(values, bins=BINS, range=(0.0, high))[0].astype(np.float64)
    reach = np.arange(-5, 6)
    kernel = np.exp(-0.5 * (reach / SMOOTH_BINS) ** 2)
    smooth = np.convolve(counts, kernel / kernel.sum(), mode="same")
    tops = HEIGHT - 36.0 * smooth / (smooth.max() or 1.0)
    seen = np.flatnonzero(tops < HEIGHT - 0.05)
    if not len(seen):
        return ""
    first, last = int(seen[0]), int(seen[-1])
    line = "".join(f"L{at + 0.5:g} {tops[at]:.1f}" for at in range(first, last + 1))
    return f"M{first} {HEIGHT:g}{line}L{last + 1} {HEIGHT:g}z"


def frontier(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of (price, quality) points that no other beats on both, the cheapest first."""
    best, chosen = -np.inf, []
    for at in sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1])):
        if points[at][1] > best:
            best = points[at][1]
            chosen.append(at)
    return chosen
