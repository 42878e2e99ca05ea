"""Starts with: the response begins with a reference or a given text."""

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

SLACK = 4  # characters read for each wanted one, as normalising may shorten the text


@dataclass(frozen=True)
class StartsWithOptions(TextOptions):
    texts: str = option(
        "", help="Beginnings with bars between them: Yes | No; empty: the item's references", read=read_terms
    )
    ignore_case: bool = option(True, help="Upper and lower case are the same")
    whole_words: bool = option(False, help="“No” is not the beginning of “Nothing”")


class StartsWith(Scorer[StartsWithOptions]):
    key = "starts_with"
    title = "Starts with"
    description = (
        "The response begins with a reference, or one of the given texts; white space is compared loosely."
    )
    Options = StartsWithOptions

    def __init__(self, options: StartsWithOptions):
        super().__init__(options)
        self.texts = split_terms(options.texts)

    def score(self, subject: Subject) -> Verdict:
        wanted = self.texts or [each for each in subject.references if each.strip()]
        if not wanted:
            return unscored(NO_REFERENCE)
        response = subject.response.strip()
        if not response:
            return verdict(False, answer="", explanation=EMPTY)
        found = next((each for each in wanted if self.begins(response, each)), None)
        start = quoted(response, 40)
        if found is None:
            words = " or ".join(map(quoted, wanted[:5]))
            return verdict(False, answer=response[:80], explanation=f"{start} does not start with {words}")
        return verdict(True, answer=response[:80], explanation=f"{start} starts with {quoted(found)}")

    def begins(self, response: str, wanted: str) -> bool:
        plain = normalise(wanted, case=self.options.ignore_case)
        given = normalise(response[: SLACK * len(wanted) + 1_000], case=self.options.ignore_case)
        if not given.startswith(plain):
            return False
        after = given[len(plain) : len(plain) + 1]
        return not (self.options.whole_words and (after.isalnum() or after == "_") and plain[-1:].isalnum())
