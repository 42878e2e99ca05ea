"""Token F1: the words that response and reference share, by SQuAD's definition."""

from collections.abc import Sequence
from dataclasses import dataclass

from judges.scorers.base import Degree, TextOptions, option, quoted
from judges.scorers.squad import overlap, squad_normalise


@dataclass(frozen=True)
class TokenF1Options(TextOptions):
    measure: str = option(
        "f1",
        help="What the value is; the best of an item's references counts",
        choices={
            "f1": "F1",
            "precision": "Precision: the share of the response's words that are in the reference",
            "recall": "Recall: the share of the reference's words that are in the response",
            "exact": "Exact match after SQuAD's normalisation",
        },
    )
    pass_at: float = option(0.5, help="Passes from this value (0 to 1) on")


class TokenF1(Degree[TokenF1Options]):
    key = "token_f1"
    title = "Token F1"
    description = (
        "Words that response and reference share, as SQuAD counts them: lower case, no punctuation, no "
        "articles."
    )
    Options = TokenF1Options

    def nearest(self, response: str, references: Sequence[str]) -> tuple[float, str]:
        given = squad_normalise(response)
        value, nearest = max(
            ((self.measured(given, squad_normalise(each)), each) for each in references),
            key=lambda pair: pair[0],
        )
        name = {"f1": "F1", "exact": "exact match"}.get(self.options.measure, self.options.measure)
        return value, f"{name} {value:.3f} with {quoted(nearest)}"

    def measured(self, given: str, wanted: str) -> float:
        if self.options.measure == "exact":
            return float(given == wanted)
        found = overlap(given.split(), wanted.split())
        return float(getattr(found, self.options.measure))
