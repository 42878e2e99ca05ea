"""The last number of a text."""

from collections.abc import Sequence
from dataclasses import dataclass

from judges.extraction.base import Filter, Piece
from judges.options import option
from judges.scorers.numbers import last_number


@dataclass(frozen=True)
class LastNumberOptions:
    plain: bool = option(True, help="Write it as 1234.5 where the text has $1,234.50; a % sign is kept")


class LastNumber(Filter[LastNumberOptions]):
    key = "last_number"
    title = "Last number"
    description = "The last number; $1,234.50, 50%, 3/4 and −7 are understood."
    Options = LastNumberOptions
    missing = "no number was found"

    def find(self, text: str, choices: Sequence[str]) -> Piece | None:
        found = last_number(text)
        if found is None:
            return None
        if not self.options.plain:
            return Piece(found.text, "the last number")
        value = found.value.normalize()
        short = -30 < value.adjusted() < 30
        sign = "%" if found.is_percent else ""
        return Piece(f"{value:f}{sign}" if short else f"{value}{sign}", "the last number")
