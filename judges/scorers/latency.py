"""Latency: the answer took no longer than a bound."""

from collections.abc import Mapping
from dataclasses import dataclass

from judges.scorers.base import Scorer, Subject, Verdict, option, unscored, verdict


@dataclass(frozen=True)
class LatencyOptions:
    most_ms: float = option(5_000.0, help="Passes up to so many milliseconds, from sending to the last byte")


class Latency(Scorer[LatencyOptions]):
    key = "latency"
    title = "Latency bound"
    description = "The answer took no longer than so many milliseconds; an empty answer counts as well."
    Options = LatencyOptions
    needs_reference = reads_response = False

    @classmethod
    def check(cls, options: LatencyOptions) -> Mapping[str, str]:
        return {} if options.most_ms > 0 else {"most_ms": "must be more than 0"}

    def score(self, subject: Subject) -> Verdict:
        if subject.latency_ms is None:
            return unscored("the latency is not known")
        most = self.options.most_ms
        passed = subject.latency_ms <= most
        shown = f"{subject.latency_ms:,.0f} ms"
        relation = "within" if passed else "over"
        return verdict(passed, answer=shown, explanation=f"{shown}, {relation} the bound of {most:,.0f} ms")
