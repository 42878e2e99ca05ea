"""JSON in what a model wrote: the whole text, its code block, or the first value in it."""

import json
from dataclasses import dataclass
from typing import Any

from judges.extraction.code_fence import fenced

READ = 500_000  # characters; more is not read
TRIES = 20  # places in running text at which a value is looked for
WHOLE, FENCED, ANYWHERE = "whole", "fenced", "anywhere"
WHERE = {
    WHOLE: "The whole response",
    FENCED: "The whole response or its code block",
    ANYWHERE: "… or the first JSON object or list in it",
}


@dataclass(frozen=True, slots=True)
class JsonRead:
    """A value and where it was, or what is wrong with the text."""

    value: Any = None
    rule: str = ""
    problem: str = ""


def read_json(text: str, *, where: str = FENCED) -> JsonRead:
    """RFC 8259: NaN and Infinity are not JSON. Never raises."""
    if len(text) > READ:
        return JsonRead(problem=f"is longer than {READ:,} characters")
    whole = _parsed(text.strip(), "the whole response")
    if not whole.problem or where == WHOLE:
        return whole
    blocks = fenced(text)
    inside = _parsed(blocks[-1][1].strip(), "its code block") if blocks else whole
    if not inside.problem or where == FENCED:
        return inside
    return _embedded(text) or inside


def _parsed(text: str, rule: str) -> JsonRead:
    try:
        return JsonRead(_DECODER.decode(text), rule)
    except RecursionError:
        return JsonRead(problem="is nested too deeply")
    except json.JSONDecodeError as error:
        return JsonRead(problem=f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}")
    except ValueError as error:
        return JsonRead(problem=f"is not JSON: {error}")


def _embedded(text: str) -> JsonRead | None:
    at = -1
    for _ in range(TRIES):
        at = min((place for mark in "{[" if (place := text.find(mark, at + 1)) >= 0), default=-1)
        if at < 0:
            return None
        try:
            return JsonRead(_DECODER.raw_decode(text, at)[0], "the first JSON in it")
        except (ValueError, RecursionError):
            continue
    return None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
