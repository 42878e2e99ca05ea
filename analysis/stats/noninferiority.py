"""Is the second not worse than the first by more than a margin? The test behind gates."""

from dataclasses import dataclass
from enum import StrEnum

from scipy.special import ndtr, stdtr

from analysis.stats.paired import Pairs, differing_mean, paired_binary, t_test, tango_z, wald_error
from analysis.stats.results import Interval, Labels, Values, numbers, same_length


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """`pass`: the whole 95 % interval lies above −margin. `fail`: the whole lies below. Else inconclusive.

    `p` is one-sided, of the hypothesis that the second is worse by the margin or more; pass is p < 0.025.
    """

    outcome: Outcome
    interval: Interval
    margin: float
    p: float | None
    reason: str = ""


def noninferiority_binary(pairs: Pairs, margin: float) -> NonInferiority:
    """For verdicts on common items; margin as a share, 0.02 = 2 points. Raises ValueError outside 0..1.

    By the interval of `paired_binary` (Piaggio et al. 2012, CONSORT, JAMA 308:2594); p by the same
    statistic: Wald, or with few differing pairs the score test (Nam 1997, Biometrics 53:1422).
    """
    if not 0 <= margin < 1:
        raise ValueError("a margin of shares lies between 0 and 1")
    interval = paired_binary(pairs).interval
    if interval.value is None or interval.half_width is None:
        return judged(interval, margin, None)
    if interval.method.startswith("Tango"):
        return judged(interval, margin, float(ndtr(-tango_z(pairs, -margin))))
    return judged(interval, margin, float(ndtr(-(interval.value + margin) / wald_error(pairs))))


def noninferiority_mean(
    first: Values, second: Values, margin: float, clusters: Labels | None = None
) -> NonInferiority:
    """For values on common items, higher is better; margin in their unit, not negative.

    By the interval of `paired_mean`; p from the same error, by Student's t (Julious 2004, Statistics in
    Medicine 23:1921, on limits against a margin).
    """
    if not margin >= 0:
        raise ValueError("a margin is not negative")
    a, b = numbers(first, "first"), numbers(second, "second")
    same_length(first=a, second=b)
    found = differing_mean(b - a, clusters)
    interval = found.interval("paired t" if clusters is None else "paired t, clustered")
    t = t_test(found, interval.method, against=-margin).statistic
    return judged(interval, margin, None if t is None else float(stdtr(found.freedom, -t)))


def judged(interval: Interval, margin: float, p: float | None) -> NonInferiority:
    """The outcome from an interval of second − first in any unit."""
    if interval.low is None or interval.high is None:
        return NonInferiority(Outcome.INCONCLUSIVE, interval, margin, p, interval.reason)
    if interval.low > -margin:
        return NonInferiority(Outcome.PASS, interval, margin, p)
    outcome = Outcome.FAIL if interval.high < -margin else Outcome.INCONCLUSIVE
    return NonInferiority(outcome, interval, margin, p)
