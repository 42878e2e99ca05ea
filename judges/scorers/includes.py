"""Includes: a reference appears inside the response."""

import re
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
class IncludesOptions(TextOptions):
    ignore_case: bool = option(True, help="Upper and lower case are the same")
    whole_words: bool = option(False, help="“cat” is not found in “concatenate”")
    need: str = option(
        "any",
        help="How many of an item's references must appear",
        choices={"any": "Any of them", "all": "All of them"},
    )


class Includes(Scorer[IncludesOptions]):
    key = "includes"
    title = "Includes"
    description = "A reference appears in the response; white space is compared loosely."
    Options = IncludesOptions

    def score(self, subject: Subject) -> Verdict:
        wanted = [reference for reference in subject.references if reference.strip()]
        if not wanted:
            return unscored(NO_REFERENCE)
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        response = self.comparable(subject.response)
        found = [reference for reference in wanted if self.has(response, self.comparable(reference))]
        missing = [reference for reference in wanted if reference not in found]
        passed = not missing if self.options.need == "all" else bool(found)
        if passed:
            return verdict(True, answer=found[0], explanation=f"includes {', '.join(map(quoted, found))}")
        return verdict(
            False, answer=found[0] if found else "", explanation=f"lacks {', '.join(map(quoted, missing))}"
        )

    def comparable(self, text: str) -> str:
        return normalise(text, case=self.options.ignore_case)

    def has(self, response: str, reference: str) -> bool:
        if not self.options.whole_words:
            return reference in response
        return re.search(rf"(?<!\w){re.escape(reference)}(?!\w)", response) is not None
