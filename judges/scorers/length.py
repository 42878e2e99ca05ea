"""Length: the response is neither too short nor too long."""

from collections.abc import Mapping
from dataclasses import dataclass

from judges.scorers.base import EMPTY, Scorer, Subject, TextOptions, Verdict, option, verdict


@dataclass(frozen=True)
class LengthOptions(TextOptions):
    unit: str = option(
        "words",
        help="What is counted; words are what white space separates",
        choices={"words": "Words", "characters": "Characters", "lines": "Lines that are not empty"},
    )
    least: int = option(1, help="At least so many")
    most: int = option(0, help="At most so many; 0: no limit")


class Length(Scorer[LengthOptions]):
    key = "length"
    title = "Length"
    description = "The response has at least and at most so many words, characters or lines."
    Options = LengthOptions
    needs_reference = False

    @classmethod
    def check(cls, options: LengthOptions) -> Mapping[str, str]:
        problems = {name: "must not be negative" for name in ("least", "most") if getattr(options, name) < 0}
        if options.most and options.most < options.least:
            problems["most"] = f"is less than the least, {options.least:,}"
        return problems

    def score(self, subject: Subject) -> Verdict:
        text = subject.response.strip()
        if not text:
            return verdict(False, answer="", explanation=EMPTY)
        count = self.count(text)
        bounds = f"at least {self.options.least:,}"
        if self.options.most:
            bounds += f" and at most {self.options.most:,}"
        passed = count >= self.options.least and not 0 < self.options.most < count
        return verdict(
            passed,
            answer=f"{count:,} {self.options.unit}",
            explanation=f"{count:,} {self.options.unit}; wanted: {bounds}",
        )

    def count(self, text: str) -> int:
        if self.options.unit == "characters":
            return len(text)
        if self.options.unit == "words":
            return len(text.split())
        return sum(1 for line in text.splitlines() if line.strip())
