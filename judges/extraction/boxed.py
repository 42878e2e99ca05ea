r"""What stands in the last \boxed{…}, braces inside it included."""

from collections.abc import Sequence

from judges.extraction.base import Filter, Piece
from judges.options import NoOptions

MARK = "\\boxed"
TRIES = 50  # boxes that are looked at, from the last one
LONGEST = 5_000  # characters of one box


class Boxed(Filter[NoOptions]):
    key = "boxed"
    title = "Boxed"
    description = "What stands in the last \\boxed{…}."
    missing = "no \\boxed{…} was found"

    def find(self, text: str, choices: Sequence[str]) -> Piece | None:
        end = len(text)
        for _ in range(TRIES):
            end = text.rfind(MARK, 0, end)
            if end < 0:
                return None
            inside = _inside(text[end + len(MARK) : end + len(MARK) + LONGEST])
            if inside is not None:
                return Piece(inside.strip(), "\\boxed{…}")
        return None


def _inside(text: str) -> str | None:
    """Between the brace that opens the text and the one that closes it."""
    opened = text.lstrip()
    if not opened.startswith("{"):
        return None
    depth = 0
    for place, letter in enumerate(opened):
        escaped = place > 0 and opened[place - 1] == "\\"
        depth += 0 if escaped else (letter == "{") - (letter == "}")
        if not depth:
            return opened[1:place]
    return None
