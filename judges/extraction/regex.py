"""What a pattern captures, matched under the limits of `judges.scorers.bounded_regex`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judges.extraction.base import CannotExtract, Filter, OccurrenceOptions, Piece
from judges.options import option
from judges.scorers import bounded_regex


@dataclass(frozen=True)
class RegexFilterOptions(OccurrenceOptions):
    pattern: str = option("", help=r"A Python regular expression, such as #### (-?[0-9.,]+)")
    group: str = option(
        "", help="Number or name of the group to take; empty: the first that matched, else the whole match"
    )
    ignore_case: bool = option(False, help="The pattern ignores case (i)")
    multiline: bool = option(False, help="^ and $ match at every line (m)")
    dot_all: bool = option(False, help="A dot matches line breaks too (s)")


class RegexFilter(Filter[RegexFilterOptions]):
    key = "regex"
    title = "Regular expression"
    description = "What the pattern captures."
    Options = RegexFilterOptions
    blocks = True
    missing = "the pattern was not found"

    def __init__(self, options: RegexFilterOptions):
        super().__init__(options)
        self.flags = bounded_regex.flags(
            ignore_case=options.ignore_case, multiline=options.multiline, dot_all=options.dot_all
        )
        self.group = _group(options)

    @classmethod
    def check(cls, options: RegexFilterOptions) -> Mapping[str, str]:
        problem = bounded_regex.compile_problem(options.pattern)
        if problem:
            return {"pattern": problem}
        try:
            _group(options)
        except LookupError as error:
            return {"group": str(error.args[0])}
        return {}

    def find(self, text: str, choices: Sequence[str]) -> Piece | None:
        last = self.options.occurrence == "last"
        try:
            found = bounded_regex.find(
                self.options.pattern, text, flags=self.flags, group=self.group, last=last
            )
        except bounded_regex.TooSlow as error:
            raise CannotExtract(bounded_regex.TOO_SLOW) from error
        return None if found is None else Piece(found.strip(), "what the pattern captured")


def _group(options: RegexFilterOptions) -> int | str:
    compiled = re.compile(options.pattern)
    if not options.group:
        return bounded_regex.FIRST_THAT_MATCHED if compiled.groups else 0
    return bounded_regex.group_of(compiled, options.group)
