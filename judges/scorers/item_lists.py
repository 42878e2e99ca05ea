"""The items of a list as a model or a person writes it: JSON, one per line, or separated."""

import re
from dataclasses import dataclass

from judges.scorers.json_reading import FENCED, read_json

READ = 100_000  # characters of a text that are read
MOST = 10_000  # items
# "- red", "* red", "• red", "1. red", "1) red", "(a) red"
BULLET = re.compile(r"^\s*(?:[-*•–]|\(?[0-9]{1,4}[.)]|\([a-zA-Z]\))\s+")
AND = re.compile(r"\s*(?:[,;]\s*(?:and|or|&)\s|[,;]|\s(?:and|or|&)\s)\s*", re.IGNORECASE)
SEPARATORS = {
    "auto": "Found out: JSON, lines, then commas, semicolons and “and”",
    "comma": "Commas",
    "semicolon": "Semicolons",
    "line": "Lines",
}


@dataclass(frozen=True, slots=True)
class ItemList:
    """The items in order, as text, and the rule that told them apart."""

    items: list[str]
    rule: str


def read_items(text: str, separator: str = "auto") -> ItemList:
    """Never raises; items are stripped and not empty."""
    text = text[:READ].strip()
    if separator == "comma":
        return _items(text.split(","), "separated by commas")
    if separator == "semicolon":
        return _items(text.split(";"), "separated by semicolons")
    if separator == "auto" and (found := _from_json(text)):
        return found
    lines = [line for line in text.splitlines() if line.strip()]
    bulleted = [line for line in lines if BULLET.match(line)]
    if bulleted and separator == "auto":
        return _items([BULLET.sub("", line) for line in bulleted], "one per bullet")
    if len(lines) > 1 or separator == "line":
        return _items([BULLET.sub("", line) for line in lines], "one per line")
    return _items(AND.split(text), "separated by commas, semicolons or “and”")


def _from_json(text: str) -> ItemList | None:
    found = read_json(text, where=FENCED) if "[" in text else None
    if found is None or found.problem or not isinstance(found.value, list):
        return None
    return _items([each if isinstance(each, str) else repr(each) for each in found.value], "a JSON list")


def _items(pieces: list[str], rule: str) -> ItemList:
    stripped = [piece.strip().strip("*_`\"'“”").rstrip(".").strip() for piece in pieces[:MOST]]
    return ItemList([piece for piece in stripped if piece], rule)
