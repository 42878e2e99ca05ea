"""The first or the last line that is not empty."""

from collections.abc import Sequence

from judges.extraction.base import Filter, Piece
from judges.options import NoOptions


class FirstLine(Filter[NoOptions]):
    key = "first_line"
    title = "First line"
    description = "The first line that is not empty."
    missing = "no line was found"

    def find(self, text: str, choices: Sequence[str]) -> Piece | None:
        lines = text.strip().splitlines()
        return Piece(lines[0].strip(), "the first line") if lines else None


class LastLine(Filter[NoOptions]):
    key = "last_line"
    title = "Last line"
    description = "The last line that is not empty."
    missing = "no line was found"

    def find(self, text: str, choices: Sequence[str]) -> Piece | None:
        lines = text.strip().splitlines()
        return Piece(lines[-1].strip(), "the last line") if lines else None
