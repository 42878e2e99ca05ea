"""A chain of filters, applied one after the other, and its two ways of being written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalportal.lib.plugins import PluginTable, UnknownPlugin
from judges.extraction.base import Filter
from judges.options import BadOptions, read_options

MOST_FILTERS = 10
MOST_TEXT = 5_000


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text that a chain found and the words for how; no text and the reason where it found none."""

    text: str | None
    rule: str


class Chain:
    """Filters in order, each given what the one before it found."""

    def __init__(self, filters: Sequence[Filter[Any]]):
        self.filters = filters
        self.blocks = any(each.blocks for each in filters)

    def read(self, text: str, choices: Sequence[str] = ()) -> Extracted:
        """Raises CannotExtract where a filter could not be carried out."""
        rules: list[str] = []
        for each in self.filters:
            piece = each.find(text, choices)
            if piece is None:
                where = f" in {' of '.join(reversed(rules))}" if rules else ""
                return Extracted(None, f"{each.missing}{where}")
            text = piece.text
            rules += [piece.rule] if piece.rule else []
        return Extracted(text, " of ".join(reversed(rules)))


def read_chain(table: PluginTable, written: Any) -> list[tuple[Filter[Any], Mapping[str, Any]]]:
    """Each filter with its options as given, from a list, its JSON text, or keys between bars.

    Raises ValueError with words that name the filter's place and what is wrong with it.
    """
    steps = _steps(written)
    if len(steps) > MOST_FILTERS:
        raise ValueError(f"has more than {MOST_FILTERS} filters")
    return [_filter(table, place, step) for place, step in enumerate(steps, 1)]


def _steps(written: Any) -> list[Any]:
    if isinstance(written, str):
        text = written.strip()
        if len(text) > MOST_TEXT:
            raise ValueError(f"is longer than {MOST_TEXT:,} characters")
        if not text.startswith(("[", "{")):
            return [{"filter": key.strip()} for key in text.split("|")] if text else []
        try:
            written = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"is not JSON: {error}") from error
    if isinstance(written, Mapping):
        written = [written]
    if not isinstance(written, Sequence):
        raise ValueError("must be a list of filters")
    return list(written)


def _filter(table: PluginTable, place: int, step: Any) -> tuple[Filter[Any], Mapping[str, Any]]:
    if isinstance(step, str):
        step = {"filter": step}
    if not isinstance(step, Mapping) or not isinstance(step.get("filter"), str):
        raise ValueError(f'filter {place} must be an object with a "filter", such as {{"filter": "strip"}}')
    options = {str(name): value for name, value in step.items() if name != "filter"}
    try:
        kind: type[Filter[Any]] = table[step["filter"]]
        return kind(read_options(kind, options)), options
    except UnknownPlugin as error:
        raise ValueError(f"filter {place}: {error}") from error
    except BadOptions as error:
        raise ValueError(f"filter {place}, {step['filter']}: {error}") from error
