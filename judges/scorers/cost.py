"""Cost: the call cost no more than a bound."""

from collections.abc import Mapping
from dataclasses import dataclass

from judges.scorers.base import Scorer, Subject, Verdict, option, unscored, verdict


@dataclass(frozen=True)
class CostOptions:
    most_usd: float = option(0.01, help="Passes up to so many dollars for the call")


class Cost(Scorer[CostOptions]):
    key = "cost"
    title = "Cost bound"
    description = "The call cost no more than so many dollars, by the model's registered prices."
    Options = CostOptions
    needs_reference = reads_response = False

    @classmethod
    def check(cls, options: CostOptions) -> Mapping[str, str]:
        return {"most_usd": "must not be negative"} if options.most_usd < 0 else {}

    def score(self, subject: Subject) -> Verdict:
        if subject.cost is None:
            return unscored("the cost is not known: the model has no price, or usage was not reported")
        passed = float(subject.cost) <= self.options.most_usd
        shown = f"${subject.cost:.6f}".rstrip("0").rstrip(".")
        relation = "within" if passed else "over"
        return verdict(
            passed, answer=shown, explanation=f"{shown}, {relation} the bound of ${self.options.most_usd:g}"
        )
