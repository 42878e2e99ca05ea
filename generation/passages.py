"""From a document's text to the passages that a model is shown; pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

SMALLEST_PASSAGE, LARGEST_PASSAGE, USUAL_PASSAGE = 300, 20_000, 3_000  # characters
PIECES = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?…])\s+"), re.compile(r"\s+"))


@dataclass(frozen=True)
class Passage:
    """A part of a document; `number` counts from 1 within it, `count` is how many questions are asked for."""

    document: str
    number: int
    text: str
    count: int = 1


def passages_of(document: str, text: str, most: int) -> list[Passage]:
    """Passages of at most `most` characters, cut where paragraphs end if possible, else lines, sentences,
    words. A short rest joins the passage before it if it fits."""
    parts: list[str] = []
    for piece in _pieces(text.strip(), most):
        if parts and len(parts[-1]) + len(piece) + 2 <= most:
            parts[-1] = f"{parts[-1]}\n\n{piece}"
        else:
            parts.append(piece)
    return [Passage(document, number, part) for number, part in enumerate(parts, start=1)]


def _pieces(text: str, most: int, level: int = 0) -> Iterator[str]:
    """Parts of the text that are no longer than `most`."""
    if len(text) <= most:
        if text.strip():
            yield text.strip()
        return
    if level == len(PIECES):
        yield from (text[at : at + most] for at in range(0, len(text), most))
        return
    held = ""
    for part in PIECES[level].split(text):
        joined = f"{held}{' ' if level else chr(10) * 2}{part}" if held else part
        if len(joined) <= most:
            held = joined
            continue
        yield from _pieces(held, most, level + 1)
        held = part
    yield from _pieces(held, most, level + 1)


def shared_out(passages: list[Passage], wanted: int) -> list[Passage]:
    """Exactly `wanted` questions over the passages; where there are fewer questions than passages, over
    some that are spread evenly."""
    total = len(passages)
    if not total:
        return []
    if wanted < total:
        chosen = [passages[at * total // wanted] for at in range(wanted)]
        return [Passage(each.document, each.number, each.text, 1) for each in chosen]
    counts = [wanted * (at + 1) // total - wanted * at // total for at in range(total)]
    return [
        Passage(each.document, each.number, each.text, count)
        for each, count in zip(passages, counts, strict=True)
    ]
