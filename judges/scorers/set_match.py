"""Set match: the items that the response lists are those that are wanted, in any order."""

from collections.abc import Sequence
from dataclasses import dataclass

from judges.scorers.base import (
    EMPTY,
    NO_REFERENCE,
    Scorer,
    Subject,
    TextOptions,
    Verdict,
    graded,
    option,
    quoted,
    unscored,
    verdict,
)
from judges.scorers.item_lists import SEPARATORS, read_items
from judges.scorers.squad import overlap, squad_normalise


@dataclass(frozen=True)
class SetMatchOptions(TextOptions):
    measure: str = option(
        "exact",
        help="What the value is",
        choices={
            "exact": "1 if both sets are the same, else 0",
            "f1": "F1 of the items",
            "precision": "Precision: the share of the items given that are wanted",
            "recall": "Recall: the share of the items wanted that are given",
            "jaccard": "Jaccard: items in both, of the items in either",
        },
    )
    separator: str = option("auto", help="What tells the items of a list apart", choices=SEPARATORS)
    pass_at: float = option(1.0, help="Passes from this value (0 to 1) on")


class SetMatch(Scorer[SetMatchOptions]):
    key = "set_match"
    title = "Set match"
    description = (
        "The items that the response lists are the references (a single reference is read as a list), in any "
        "order, without repeats, compared with SQuAD's normalisation."
    )
    Options = SetMatchOptions

    def score(self, subject: Subject) -> Verdict:
        wanted = self.wanted(subject.references)
        if not wanted:
            return unscored(NO_REFERENCE)
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        listed = read_items(subject.response, self.options.separator)
        given = _set(listed.items)
        return graded(
            self.measured(given, wanted),
            pass_at=self.options.pass_at,
            answer=", ".join(listed.items),
            explanation=f"{len(given)} items ({listed.rule}): {_difference(given, wanted)}",
        )

    def wanted(self, references: Sequence[str]) -> list[str]:
        if len(references) == 1:
            return _set(read_items(references[0], self.options.separator).items)
        return _set(references)

    def measured(self, given: list[str], wanted: list[str]) -> float:
        if self.options.measure == "exact":
            return float(set(given) == set(wanted))
        if self.options.measure == "jaccard":
            return len({*given} & {*wanted}) / len({*given} | {*wanted})
        return float(getattr(overlap(given, wanted), self.options.measure))


def _set(items: Sequence[str]) -> list[str]:
    """Normalised, once each, in order; what is nothing but punctuation stays as it is."""
    return list(dict.fromkeys(squad_normalise(item) or item.strip() for item in items if item.strip()))


def _difference(given: list[str], wanted: list[str]) -> str:
    missing = [item for item in wanted if item not in given]
    extra = [item for item in given if item not in wanted]
    words = [
        f"{verb} {', '.join(map(quoted, items[:5]))}{' …' if len(items) > 5 else ''}"
        for verb, items in (("lacks", missing), ("has besides", extra))
        if items
    ]
    return "; ".join(words) or "the same set"
