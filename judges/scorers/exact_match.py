"""Exact match: the response equals a reference, raw or normalised."""

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


@dataclass(frozen=True)
class ExactMatchOptions(TextOptions):
    mode: str = option(
        "normalised",
        help="Compare as written, or after normalising both sides",
        choices={"normalised": "Normalised", "raw": "Raw"},
    )
    ignore_case: bool = option(True, help="Normalised: upper and lower case are the same")
    ignore_whitespace: bool = option(True, help="Normalised: runs of white space count as one, ends as none")
    ignore_punctuation: bool = option(True, help="Normalised: punctuation does not count")
    ignore_articles: bool = option(False, help="Normalised: a, an and the do not count")


class ExactMatch(Scorer[ExactMatchOptions]):
    key = "exact_match"
    title = "Exact match"
    description = "The response equals a reference, as written or after normalising both."
    Options = ExactMatchOptions

    def score(self, subject: Subject) -> Verdict:
        if not subject.references:
            return unscored(NO_REFERENCE, answer=subject.response)
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        response = self.comparable(subject.response)
        match = next((ref for ref in subject.references if self.comparable(ref) == response), None)
        how = "as written" if self.options.mode == "raw" else "after normalising"
        if match is not None:
            return verdict(True, answer=subject.response, explanation=f"equals {quoted(match)} {how}")
        nearest = quoted(subject.references[0])
        return verdict(False, answer=subject.response, explanation=f"differs from {nearest} {how}")

    def comparable(self, text: str) -> str:
        if self.options.mode == "raw":
            return text
        plain = normalise(
            text,
            case=self.options.ignore_case,
            space=self.options.ignore_whitespace,
            punctuation=self.options.ignore_punctuation,
            articles=self.options.ignore_articles,
        )
        # An answer that is nothing but punctuation ("+", "?") must still differ from another one.
        return plain or text.strip()
