"""Contains: all, any or none of some terms appear in the response."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from judges.scorers.base import (
    EMPTY,
    NO_REFERENCE,
    Scorer,
    Subject,
    TextOptions,
    Verdict,
    option,
    quoted,
    unscored,
    verdict,
)
from judges.scorers.normalise import normalise
from judges.scorers.terms import read_terms, split_terms


@dataclass(frozen=True)
class ContainsOptions(TextOptions):
    need: str = option(
        "all",
        help="How many of the terms must appear",
        choices={"all": "All of them", "any": "At least one", "none": "None of them"},
    )
    terms: str = option(
        "",
        help="Terms with bars between them: refund | 30 days; empty: the item's references",
        read=read_terms,
    )
    ignore_case: bool = option(True, help="Upper and lower case are the same")
    whole_words: bool = option(False, help="“cat” is not found in “concatenate”")


class Contains(Scorer[ContainsOptions]):
    key = "contains"
    title = "Contains all, any or none"
    description = (
        "All, any or none of the terms (or of the references) appear; white space is compared loosely."
    )
    Options = ContainsOptions

    def __init__(self, options: ContainsOptions):
        super().__init__(options)
        self.terms = split_terms(options.terms)
        self.needs_reference = not self.terms  # type: ignore[misc]

    def score(self, subject: Subject) -> Verdict:
        terms: Sequence[str] = self.terms or [each for each in subject.references if each.strip()]
        if not terms:
            return unscored(NO_REFERENCE)
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        response = self.plain(subject.response)
        found = [term for term in terms if self.has(response, self.plain(term))]
        missing = [term for term in terms if term not in found]
        passed = {"all": not missing, "any": bool(found), "none": not found}[self.options.need]
        said = [
            f"{verb} {', '.join(map(quoted, words[:10]))}{' …' if len(words) > 10 else ''}"
            for verb, words in (("has", found), ("lacks", missing))
            if words
        ]
        return verdict(passed, answer=", ".join(found), explanation="; ".join(said))

    def plain(self, text: str) -> str:
        return normalise(text, case=self.options.ignore_case)

    def has(self, response: str, term: str) -> bool:
        if not self.options.whole_words:
            return term in response
        return re.search(rf"(?<!\w){re.escape(term)}(?!\w)", response) is not None
