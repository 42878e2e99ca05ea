"""What follows the reasoning that some models write before their answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judges.extraction.base import Filter, Piece
from judges.options import option


@dataclass(frozen=True)
class AfterReasoningOptions:
    end: str = option("</think>", help="Closes the reasoning; a response without it is taken whole")
    start: str = option("<think>", help="Opens it; a response with this and no end has no answer yet")


class AfterReasoning(Filter[AfterReasoningOptions]):
    key = "after_reasoning"
    title = "After the reasoning"
    description = "What follows the last </think>; the whole text without reasoning."
    Options = AfterReasoningOptions
    missing = "the reasoning does not end"

    @classmethod
    def check(cls, options: AfterReasoningOptions) -> Mapping[str, str]:
        return {} if options.end.strip() else {"end": "is required"}

    def find(self, text: str, choices: Sequence[str]) -> Piece | None:
        _, ended, rest = text.rpartition(self.options.end)
        if ended:
            return Piece(rest.strip(), "the text after the reasoning")
        if self.options.start and text.lstrip().startswith(self.options.start):
            return None
        return Piece(text)
