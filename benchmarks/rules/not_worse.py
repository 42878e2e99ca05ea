"""Not worse than the baseline by more than a margin, by a non-inferiority test on common items."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from scipy.special import ndtr

from analysis.stats.noninferiority import NonInferiority, judged, noninferiority_binary, noninferiority_mean
from analysis.stats.paired import pairs_of
from analysis.stats.power import pairs_for_noninferiority
from analysis.wording import change, p_text
from benchmarks.rules.base import Outcome, Rule, Ruling, Subject, inconclusive, option
from benchmarks.scoring import PartPair, difference, shares
from runs.metrics import weighs

EQUALLY = "; items count the same here, not by their weights"


@dataclass(frozen=True)
class Options:
    margin: float = option(2.0, help="Points that it may be worse by")
    baseline: str = option(
        "", help="The model to compare with; empty: the benchmark's baseline", offers="models"
    )
    scorer: str = option("", help="By which verdict; empty: the primary metric", offers="scorers")


class NotWorse(Rule[Options]):
    key = "not_worse"
    title = "Not worse than the baseline"
    description = "The whole 95% interval of the difference lies above minus the margin"
    Options = Options

    @classmethod
    def check(cls, options: Any) -> dict[str, str]:
        return {} if 0 <= options.margin < 100 else {"margin": "lies between 0 and 100 points"}

    def __str__(self) -> str:
        by = f" on {self.options.scorer}" if self.options.scorer else ""
        than = self.options.baseline or "the baseline"
        return f"Not worse than {than} by more than {self.options.margin:g} pts{by}"

    def judge(self, subject: Subject) -> Ruling:
        if subject.missing or not subject.pairs:
            return inconclusive(subject.missing or "No item in common.")
        margin = self.options.margin / 100
        found = tested(subject.pairs, margin)
        if found.interval.value is None:
            return inconclusive("No item in common.")
        assert subject.candidate and subject.baseline
        p = f", p {p_text(found.p)}" if found.p is not None else ""
        figures = (
            f"{subject.candidate.name} − {subject.baseline.name} = {change(found.interval, True)}, "
            f"margin {self.options.margin:g} pts{p}, {found.interval.n:,} pairs"
            f"{EQUALLY if weighs([*subject.candidate.runs, *subject.baseline.runs]) else ''}"
        )
        needed = more_needed(subject.pairs, found) if found.outcome == Outcome.INCONCLUSIVE else None
        return Ruling(Outcome(found.outcome), figures, needed, _detail(found))


def tested(pairs: Sequence[PartPair], margin: float) -> NonInferiority:
    """One part: the test for its kind. Several: the interval of their weighted difference."""
    if len(pairs) == 1:
        (pair,) = pairs
        if pair.binary:
            return noninferiority_binary(pairs_of(pair.first, pair.second), margin)
        return noninferiority_mean(pair.first, pair.second, margin)
    found = difference(pairs)
    z = found.test.statistic
    value = found.interval.value
    error = value / z if z and value else None
    p = None if error is None or value is None else float(ndtr(-(value + margin) / error))
    return judged(found.interval, margin, p)


def more_needed(pairs: Sequence[PartPair], found: NonInferiority) -> int | None:
    """Items beyond those there are, for 80 % power if the true difference is the one seen; None: never."""
    deviation = 0.0
    total = sum(pair.n for pair in pairs)
    for weight, pair in zip(shares([pair.weight for pair in pairs]), pairs, strict=True):
        if pair.n > 1:
            deviation += weight**2 * float((pair.second - pair.first).var(ddof=1)) * total / pair.n
    if not deviation:
        return None
    needed = pairs_for_noninferiority(sqrt(deviation), found.margin, difference=found.interval.value or 0.0).n
    return None if needed is None else max(1, needed - total)


def _detail(found: NonInferiority) -> dict[str, Any]:
    return {
        "difference": found.interval.value, "low": found.interval.low, "high": found.interval.high,
        "n": found.interval.n, "margin": found.margin, "p": found.p, "method": found.interval.method,
    }  # fmt: skip
