"""Numeric: the number that the response gives is a reference's number, within a tolerance."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

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
from judges.scorers.numbers import Found, read_number


@dataclass(frozen=True)
class NumericOptions(TextOptions):
    absolute_tolerance: float = option(1e-6, help="Equal if they differ by no more than this")
    relative_tolerance: float = option(
        0.0, help="… or by no more than this share of the reference (0.01 is 1 %)"
    )
    last_number: bool = option(True, help="Without a marked answer, read the last number of the response")
    percent: bool = option(True, help="50% may stand for 50 and for 0.5 if only one side has a percent sign")


class Numeric(Scorer[NumericOptions]):
    key = "numeric"
    title = "Numeric"
    description = (
        "Reads the answer's number (\\boxed{18}, #### 18, A: 18, ANSWER: 18, “the answer is 18”, else the "
        "last number; $1,234.50, 50%, 3/4 and −7 are understood) and compares it within a tolerance."
    )
    Options = NumericOptions

    @classmethod
    def check(cls, options: NumericOptions) -> Mapping[str, str]:
        names = ("absolute_tolerance", "relative_tolerance")
        return {name: "must not be negative" for name in names if getattr(options, name) < 0}

    def score(self, subject: Subject) -> Verdict:
        if not any(reference.strip() for reference in subject.references):
            return unscored(NO_REFERENCE)
        wanted = [found for reference in subject.references if (found := read_number(reference))]
        if not wanted:
            return unscored(f"no number in the reference {quoted(subject.references[0])}")
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        given = read_number(subject.response, fallback=self.options.last_number)
        if given is None:
            return verdict(False, answer="", explanation="no number was found in the response")
        match = next((found for found in wanted if self.equal(given, found)), None)
        return verdict(
            match is not None, answer=given.text, explanation=_explain(given, match or wanted[0], match)
        )

    def equal(self, given: Found, wanted: Found) -> bool:
        if self.near(given.value, wanted.value):
            return True
        if not self.options.percent or given.is_percent == wanted.is_percent:
            return False
        hundredth = Decimal("0.01")
        if given.is_percent:
            return self.near(given.value * hundredth, wanted.value)
        return self.near(given.value, wanted.value * hundredth)

    @cached_property
    def tolerances(self) -> tuple[Decimal, Decimal]:
        """Absolute and relative."""
        return Decimal(str(self.options.absolute_tolerance)), Decimal(str(self.options.relative_tolerance))

    def near(self, given: Decimal, wanted: Decimal) -> bool:
        absolute, relative = self.tolerances
        return given == wanted or abs(given - wanted) <= max(absolute, relative * abs(wanted))


def _explain(given: Found, wanted: Found, match: Found | None) -> str:
    relation = "equals" if match else "is not"
    return f"{given.text} ({given.rule}) {relation} {wanted.text} ({wanted.rule} of the reference)"
