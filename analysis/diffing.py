"""Two texts word by word: what only the first has, what only the second has. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

WORDS = re.compile(r"\s+|\S+")
MOST_WORDS = 4000
"""Words and spaces of each text; beyond that the comparison would take seconds."""


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    changed: bool


def word_diff(first: str, second: str) -> tuple[Sequence[Piece], Sequence[Piece]] | None:
    """The pieces of each side in order; None where a text is too long to be compared."""
    a, b = WORDS.findall(first), WORDS.findall(second)
    if max(len(a), len(b)) > MOST_WORDS:
        return None
    left: list[Piece] = []
    right: list[Piece] = []
    for kind, start, end, begin, stop in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        for side, words in ((left, a[start:end]), (right, b[begin:stop])):
            if words:
                side.append(Piece("".join(words), kind != "equal"))
    return left, right
