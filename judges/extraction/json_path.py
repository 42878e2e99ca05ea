"""One value of a JSON text, by its path."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from judges.extraction.base import Filter, Piece
from judges.options import option
from judges.scorers.json_reading import ANYWHERE, read_json

# $ · .name · ["any name"] · ['any name'] · [3] · [-1]: the singular queries of RFC 9535, §2.3.5.1
STEP = re.compile(r"""\.?([^\s.\[\]"'$]+)|\[\s*(?:(-?[0-9]{1,9})|"([^"]*)"|'([^']*)')\s*\]""")


@dataclass(frozen=True)
class JsonPathOptions:
    path: str = option("$", help="Where the answer is, such as $.answer or $.steps[-1].result")


class JsonPath(Filter[JsonPathOptions]):
    key = "json_path"
    title = "JSON path"
    description = "One value of the JSON in the text: the whole text, its code block, or the first in it."
    Options = JsonPathOptions
    missing = "the path was not found"

    def __init__(self, options: JsonPathOptions):
        super().__init__(options)
        self.steps = read_path(options.path)

    @classmethod
    def check(cls, options: JsonPathOptions) -> Mapping[str, str]:
        try:
            read_path(options.path)
        except ValueError as error:
            return {"path": str(error)}
        return {}

    def find(self, text: str, choices: Sequence[str]) -> Piece | None:
        found = read_json(text, where=ANYWHERE)
        if found.problem:
            return None
        value = found.value
        for step in self.steps:
            try:
                value = _inside(value, step)
            except LookupError:
                return None
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return Piece(shown, f"{self.options.path} of the JSON")


def read_path(path: str) -> list[str | int]:
    """The names and places of a path. Raises ValueError."""
    text = path.strip().removeprefix("$")
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        match = STEP.match(text, at)
        if not match:
            raise ValueError(f"is not a path at {text[at:][:20]!r}; write it like $.steps[-1].result")
        place = match[2]
        steps.append(int(place) if place else next(name for name in match.group(1, 3, 4) if name is not None))
        at = match.end()
    return steps


def _inside(value: Any, step: str | int) -> Any:
    """Raises LookupError."""
    if isinstance(step, int) and isinstance(value, list):
        return value[step]
    if isinstance(step, str) and isinstance(value, dict):
        return value[step]
    raise LookupError
