"""What the functions of this package return, and the checks that they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr, stdtrit

from judges.metrics import TAIL, Z

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Values = Sequence[float] | npt.NDArray[Any]
Labels = Sequence[Any] | npt.NDArray[Any]

EMPTY = "no data"
SINGLE = "a single value has no spread"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its two-sided 95 % interval in the figure's own unit.

    `value` is None without data; `low` and `high` are None where there is no interval, and `reason`
    says why; beside an interval it is a caution, such as few pairs. `n` counts what was used, `method`
    names the formula.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    reason: str = ""

    @property
    def excludes_zero(self) -> bool:
        """Only an interval can: without one, nothing is shown."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def half_width(self) -> float | None:
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Significance:
    """A two-sided test: `p` is None where it cannot be carried out, and `reason` says why."""

    p: float | None
    n: int
    method: str
    statistic: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first over the same items: interval and test together.

    `fixed` and `broken` count the pairs in which only the second, only the first was right; for
    values that are not verdicts, those in which the second was higher, lower.
    """

    interval: Interval
    test: Significance
    fixed: int
    broken: int

    @property
    def shown(self) -> bool:
        """Whether the interval leaves out 0; the only ground for saying better or worse."""
        return self.interval.excludes_zero


def no_interval(value: float | None, n: int, method: str, reason: str) -> Interval:
    return Interval(value, None, None, n, method, reason)


def normal_interval(value: float, error: float, n: int, method: str, reason: str = "") -> Interval:
    """value ± z · standard error."""
    return Interval(value, value - Z * error, value + Z * error, n, method, reason)


def t_interval_of(value: float, error: float, freedom: int, n: int, method: str) -> Interval:
    """value ± t(freedom) · standard error."""
    half = float(stdtrit(freedom, 1 - TAIL)) * error
    return Interval(value, value - half, value + half, n, method)


def normal_p(z: float) -> float:
    return float(2 * ndtr(-abs(z)))


def t_p(t: float, freedom: float) -> float:
    return float(2 * stdtr(freedom, -abs(t)))


def numbers(values: Values, name: str = "values") -> Floats:
    """A one-dimensional array of finite numbers. Raises ValueError otherwise."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, not {array.ndim}-dimensional")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity: leave out what has no value, and say so")
    return array


def same_length(**arrays: npt.NDArray[Any]) -> None:
    """Raises ValueError unless all have one length."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length:,}" for name, length in lengths.items())
        raise ValueError(f"one value per item each: {told}")


def codes_of(labels: Labels, name: str = "labels") -> tuple[Integers, int]:
    """Labels as numbers from 0 in ascending order of label, and how many there are."""
    array = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional")
    known, codes = np.unique(array, return_inverse=True)
    return codes.astype(np.int64), len(known)
