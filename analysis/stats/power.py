"""Before a launch: how small a difference can be seen, and how many items a difference needs.

Normal approximations, two-sided at 5 % and 80 % power unless told; with `tests` comparisons, the
strictest level of Holm's procedure. Differences and standard deviations in the metric's unit, shares
as 0..1. Variances come from earlier runs (`spread`, `Pairs`) or from a stated prior; `basis` says which.
"""

from dataclasses import dataclass
from math import ceil, sqrt

from scipy.special import ndtri

from analysis.stats.intervals import Spread
from analysis.stats.paired import Pairs

ALPHA, POWER = 0.05, 0.8


@dataclass(frozen=True, slots=True)
class Detectable:
    """`difference` that n items show with the power asked for; None with a `reason` where none can."""

    difference: float | None
    n: int
    power: float
    basis: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Required:
    """`n` items (pairs, or items in each of two samples) that show `difference`; None with a `reason`."""

    n: int | None
    difference: float
    power: float
    basis: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Design:
    """What a difference has to overcome: `deviation` is the standard deviation that one item adds.

    For shares it falls as the difference grows, so `pull` · difference² is taken off its square under
    the alternative: 1 for paired verdicts, 1/2 for unpaired ones, 0 for means. `most` is the largest
    difference that the design can have.
    """

    deviation: float
    pull: float = 0.0
    most: float | None = None
    basis: str = "stated"

    def needed(self, difference: float, *, power: float = POWER, tests: int = 1) -> Required:
        """Items for a true difference (its sign does not matter): ((z_α σ₀ + z_β σ₁) / δ)²."""
        delta = abs(difference)
        if delta == 0:
            return Required(None, difference, power, self.basis, "no number of items shows a difference of 0")
        if self.most is not None and delta > self.most:
            return Required(None, difference, power, self.basis, self._too_large())
        z_alpha, z_beta = _quantiles(power, tests)
        under = sqrt(max(0.0, self.deviation**2 - self.pull * delta**2))
        return Required(
            max(2, ceil(((z_alpha * self.deviation + z_beta * under) / delta) ** 2 - 1e-9)),
            difference, power, self.basis,
        )  # fmt: skip

    def detectable(self, n: int, *, power: float = POWER, tests: int = 1) -> Detectable:
        """The smallest true difference that n items show. Solves the same equation for δ.

        With s = √n·δ − z_α σ: s² = z_β² (σ² − pull · δ²), a quadratic whose larger root is meant.
        """
        if n < 2:
            return Detectable(None, n, power, self.basis, "at least two items" if n else "no items")
        if self.deviation == 0:
            return Detectable(None, n, power, self.basis, "no spread to tell it from")
        z_alpha, z_beta = _quantiles(power, tests)
        square = n + self.pull * z_beta**2
        linear = sqrt(n) * z_alpha * self.deviation
        constant = self.deviation**2 * (z_alpha**2 - z_beta**2)
        root = max(0.0, linear * linear - square * constant)
        delta = (linear + (sqrt(root) if z_beta > 0 else -sqrt(root))) / square
        if self.most is not None and delta > self.most:
            return Detectable(None, n, power, self.basis, self._too_large())
        return Detectable(delta, n, power, self.basis)

    def _too_large(self) -> str:
        return f"the difference cannot be larger than {100 * (self.most or 0):.1f} points here"


def _quantiles(power: float, tests: int) -> tuple[float, float]:
    if not 0 < power < 1 or tests < 1:
        raise ValueError("power lies between 0 and 1, and there is at least one test")
    return float(ndtri(1 - ALPHA / (2 * tests))), float(ndtri(power))


def paired_verdicts(differing: float, basis: str = "stated") -> Design:
    """Verdicts on the same items of which a share 0..1 differs between the two, either way.

    n = (z_α √ψ + z_β √(ψ − δ²))² / δ² (Connor 1987, Biometrics 43:207).
    """
    _check_share(differing)
    return Design(sqrt(differing), 1.0, differing, basis)


def paired_verdicts_like(pairs: Pairs) -> Design:
    """From an earlier comparison; half a pair is added either way, so that few pairs promise less (Agresti &
    Min 2005, Statistics in Medicine 24:729)."""
    return paired_verdicts((pairs.differing + 1) / (pairs.n + 1), f"{pairs.n:,} earlier pairs")


def paired_values(deviation: float, basis: str = "stated") -> Design:
    """Values on the same items whose differences have this standard deviation: n = ((z_α + z_β) σ / δ)²,
    Cohen 1988, §2.5, in its normal approximation."""
    return _means(deviation, basis)


def paired_epochs(
    difference: float, within_first: float, within_second: float, epochs: tuple[int, int] = (1, 1)
) -> Design:
    """Values on the same items, several epochs each (Miller 2024, arXiv 2411.00640, eq. 9).

    `difference` is ω², the variance over items of the true difference; `within_…` are σ², the variance
    of one item from epoch to epoch, each divided by its epochs.
    """
    if min(difference, within_first, within_second) < 0 or min(epochs) < 1:
        raise ValueError("variances are not negative, epochs at least 1")
    total = difference + within_first / epochs[0] + within_second / epochs[1]
    return _means(sqrt(total), "stated variances")


def unpaired_verdicts(share: float, basis: str = "stated") -> Design:
    """Verdicts on different items, n in each sample; `share` is the mean of both shares right, 0..1.

    n = (z_α √(2p̄q̄) + z_β √(p₁q₁ + p₂q₂))² / δ² (Fleiss, Levin & Paik 2003, eq. 4.14).
    """
    _check_share(share)
    return Design(sqrt(2 * share * (1 - share)), 0.5, 2 * min(share, 1 - share), basis)


def unpaired_values(deviation_first: float, deviation_second: float, basis: str = "stated") -> Design:
    """Values on different items, n in each sample, with these standard deviations (Cohen 1988, §2.3)."""
    return _means(sqrt(deviation_first**2 + deviation_second**2), basis)


def from_spread(spread: Spread, *, epochs: int = 1, correlation: float = 0.0) -> Design | None:
    """Two runs like an earlier one: its between-item variance, shared to a correlation 0..1 by both.

    ω² = 2 · between · (1 − correlation), as in Miller 2024, §5. None where the earlier run cannot tell.
    """
    if spread.between is None or spread.within is None:
        return None
    total = 2 * spread.between * (1 - correlation) + 2 * spread.within / epochs
    return _means(sqrt(total), f"{spread.n:,} earlier answers to {spread.items:,} items")


def _means(deviation: float, basis: str) -> Design:
    if not deviation >= 0:
        raise ValueError("a standard deviation is not negative")
    return Design(deviation, 0.0, None, basis)


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0 and 1")


def pairs_for_noninferiority(
    deviation: float, margin: float, *, difference: float = 0.0, power: float = POWER
) -> Required:
    """Pairs for the 95 % interval to lie above −margin when the true difference is `difference`.

    ((z_α + z_β) σ / (margin + δ))², σ the standard deviation of one pair's difference (Blackwelder
    1982, Controlled Clinical Trials 3:345, for means). With δ ≤ −margin no n can.
    """
    basis, room = "earlier pairs", margin + difference
    if room <= 0:
        return Required(None, difference, power, basis, "it is worse by the margin or more")
    z_alpha, z_beta = _quantiles(power, 1)
    return Required(max(2, ceil(((z_alpha + z_beta) * deviation / room) ** 2)), difference, power, basis)
