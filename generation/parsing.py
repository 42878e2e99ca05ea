"""From a model's response to drafts, whatever it wrote around them; pure."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from judges.extraction.after_reasoning import AfterReasoning, AfterReasoningOptions

QUESTION = ("question", "query", "prompt", "input", "q")
REFERENCE = ("reference", "answer", "ideal", "target", "expected", "a")
CHOICES = ("choices", "options")
LONGEST = 20_000  # characters of a question or a reference
MOST = 200  # drafts of one response
MOST_TRIES = 2_000  # places of one response where JSON may begin
OPENING = re.compile(r"[\[{]")


@dataclass(frozen=True)
class Drafted:
    """A question as the model wrote it."""

    question: str
    reference: str
    choices: list[str] = field(default_factory=list)


def drafts_in(response: str) -> tuple[list[Drafted], str]:
    """The drafts of a response, and why there is none. JSON may stand in a code block, between other
    words, after reasoning, one object a line; of an answer that was cut off the whole objects count."""
    values, problem = json_values(response)
    if problem:
        return [], problem
    found = [draft for value in values for draft in _drafts(value, 0)][:MOST]
    return (found, "") if found else ([], "its JSON holds no question with a reference")


def json_values(response: str) -> tuple[list[Any], str]:
    """Every outermost JSON list or object of a response, and why there is none."""
    piece = AfterReasoning(AfterReasoningOptions()).find(response, ())
    if piece is None:
        return [], "its reasoning does not end; allow more tokens"
    if not piece.text.strip():
        return [], "the response is empty"
    values = list(_values(piece.text))
    return values, "" if values else "there is no JSON in the response"


def _values(text: str) -> Iterator[Any]:
    """Every outermost JSON list or object, in order."""
    decoder, at = json.JSONDecoder(), 0
    for _ in range(MOST_TRIES):
        opening = OPENING.search(text, at)
        if opening is None:
            return
        try:
            value, at = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            at = opening.start() + 1
        else:
            yield value


def _drafts(value: Any, depth: int) -> Iterator[Drafted]:
    if depth > 3:
        return
    if isinstance(value, list):
        for entry in value:
            yield from _drafts(entry, depth + 1)
    elif isinstance(value, dict):
        draft = _draft({str(key).lower(): entry for key, entry in value.items()})
        if draft:
            yield draft
            return
        for entry in value.values():
            yield from _drafts(entry, depth + 1)


def _draft(value: dict[str, Any]) -> Drafted | None:
    question = _text(next((value[name] for name in QUESTION if name in value), ""))
    reference = _text(next((value[name] for name in REFERENCE if name in value), ""))
    listed: Any = next((value[name] for name in CHOICES if name in value), [])
    listed = list(listed.values()) if isinstance(listed, dict) else listed
    choices = [text for each in listed[:26] if (text := _text(each))] if isinstance(listed, list) else []
    if not question or not reference:
        return None
    return Drafted(question, reference, choices if len(choices) > 1 else [])


def _text(value: Any) -> str:
    """Text as the portal may keep it; of a list its first entry."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, bool) or value is None or isinstance(value, dict):
        return ""
    text = str(value).replace("\0", "").encode(errors="ignore").decode().strip()
    return text[:LONGEST]
