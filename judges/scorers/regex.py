"""Regex: what a pattern captures equals a reference, or the pattern is found at all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from judges.scorers import bounded_regex
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
class RegexOptions(TextOptions):
    pattern: str = option(help="A Python regular expression, such as ANSWER: *([A-D])")
    group: str = option(
        "", help="Number or name of the group to compare; empty: the first one, else the whole match"
    )
    occurrence: str = option(
        "last",
        help="Which match to read if there are several",
        choices={"last": "The last", "first": "The first"},
    )
    compare: str = option(
        "normalised",
        help="What the captured text is held against",
        choices={
            "normalised": "A reference, ignoring case and white space",
            "raw": "A reference, as written",
            "found": "Nothing: to be found is enough",
        },
    )
    ignore_case: bool = option(False, help="The pattern ignores case (i)")
    multiline: bool = option(False, help="^ and $ match at every line (m)")
    dot_all: bool = option(False, help="A dot matches line breaks too (s)")


class Regex(Scorer[RegexOptions]):
    key = "regex"
    title = "Regular expression"
    description = "What the pattern captures equals a reference; or the pattern is found, if that is enough."
    Options = RegexOptions
    blocks = True

    def __init__(self, options: RegexOptions):
        super().__init__(options)
        self.flags = bounded_regex.flags(
            ignore_case=options.ignore_case, multiline=options.multiline, dot_all=options.dot_all
        )
        self.group = bounded_regex.group_of(re.compile(options.pattern, self.flags), options.group)

    @classmethod
    def check(cls, options: RegexOptions) -> Mapping[str, str]:
        problem = bounded_regex.compile_problem(options.pattern)
        if problem:
            return {"pattern": problem}
        try:
            bounded_regex.group_of(re.compile(options.pattern), options.group)
        except LookupError as error:
            return {"group": str(error.args[0])}
        return {}

    def score(self, subject: Subject) -> Verdict:
        if self.options.compare != "found" and not subject.references:
            return unscored(NO_REFERENCE)
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        try:
            captured = bounded_regex.find(
                self.options.pattern,
                subject.response,
                flags=self.flags,
                group=self.group,
                last=self.options.occurrence == "last",
            )
        except bounded_regex.TooSlow:
            return unscored(bounded_regex.TOO_SLOW)
        if captured is None:
            return verdict(False, answer="", explanation="the pattern was not found")
        if self.options.compare == "found":
            return verdict(True, answer=captured, explanation=f"the pattern found {quoted(captured)}")
        return self.compared(captured, subject)

    def compared(self, captured: str, subject: Subject) -> Verdict:
        passed = any(
            self.comparable(captured) == self.comparable(reference) for reference in subject.references
        )
        if len(subject.references) > 1:
            relation = "is one of the references" if passed else "is none of the references"
        else:
            relation = f"{'equals' if passed else 'differs from'} {quoted(subject.references[0])}"
        explanation = f"the pattern captured {quoted(captured)}, which {relation}"
        return verdict(passed, answer=captured, explanation=explanation)

    def comparable(self, text: str) -> str:
        return text if self.options.compare == "raw" else normalise(text)
