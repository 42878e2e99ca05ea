"""The inside of a fenced code block."""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from judges.extraction.base import Filter, OccurrenceOptions, Piece
from judges.options import option

READ = 200_000  # characters from the end of a text that are read
# Up to 3 spaces, then ``` or ~~~ and perhaps a language (CommonMark 0.31, §4.5)
OPENING = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n`]*$", re.MULTILINE)


@dataclass(frozen=True)
class CodeFenceOptions(OccurrenceOptions):
    language: str = option("", help="Only blocks of this language, such as json; empty: any")


class CodeFence(Filter[CodeFenceOptions]):
    key = "code_fence"
    title = "Code block"
    description = "The inside of a fenced code block; one that is cut off counts to its end."
    Options = CodeFenceOptions
    missing = "no code block was found"

    def find(self, text: str, choices: Sequence[str]) -> Piece | None:
        wanted = self.options.language.lower()
        blocks = (inside for language, inside in fenced(text) if wanted in ("", language.lower()))
        if self.options.occurrence == "first":
            found = next(blocks, None)
        else:
            kept = deque(blocks, maxlen=1)
            found = kept[0] if kept else None
        which = f"the {self.options.occurrence} {self.options.language} code block".replace("  ", " ")
        return None if found is None else Piece(found, which)


def fenced(text: str) -> list[tuple[str, str]]:
    """(language, inside) of every block, in order."""
    blocks: list[tuple[str, str]] = []
    mark, language, inside = "", "", list[str]()
    for line in text[-READ:].splitlines():
        opening = OPENING.match(line)
        if mark and _closes(line, mark):
            blocks.append((language, "\n".join(inside)))
            mark = ""
        elif mark:
            inside.append(line)
        elif opening:
            mark, language, inside = opening[1], opening[2], []
    return [*blocks, (language, "\n".join(inside))] if mark else blocks


def _closes(line: str, mark: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(mark) and set(bare) == {mark[0]}
