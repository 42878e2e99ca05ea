"""Filters that change how a text is written, not which part of it is read."""

from collections.abc import Sequence
from dataclasses import dataclass

from judges.extraction.base import Filter, Piece
from judges.options import NoOptions, option


@dataclass(frozen=True)
class StripOptions:
    characters: str = option("", help="What to take off both ends; empty: white space")


class Strip(Filter[StripOptions]):
    key = "strip"
    title = "Strip"
    description = "Takes white space, or the given characters, off both ends."
    Options = StripOptions

    def find(self, text: str, choices: Sequence[str]) -> Piece:
        return Piece(text.strip(self.options.characters or None))


class Lower(Filter[NoOptions]):
    key = "lower"
    title = "Lower case"
    description = "Writes everything in lower case."

    def find(self, text: str, choices: Sequence[str]) -> Piece:
        return Piece(text.lower())
