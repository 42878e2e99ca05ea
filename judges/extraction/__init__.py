"""Extraction: filters that find the answer in a response before a scorer sees it, listed in FILTERS."""

import json
from functools import lru_cache
from typing import Any

from evalportal.lib.plugins import PluginTable
from judges.extraction.base import CannotExtract, Filter, Piece
from judges.extraction.chain import Chain, Extracted, read_chain

FILTERS = PluginTable(
    "filter",
    (
        ("strip", "judges.extraction.tidying:Strip"),
        ("lower", "judges.extraction.tidying:Lower"),
        ("first_line", "judges.extraction.lines:FirstLine"),
        ("last_line", "judges.extraction.lines:LastLine"),
        ("after_marker", "judges.extraction.after_marker:AfterMarker"),
        ("after_reasoning", "judges.extraction.after_reasoning:AfterReasoning"),
        ("code_fence", "judges.extraction.code_fence:CodeFence"),
        ("boxed", "judges.extraction.boxed:Boxed"),
        ("last_number", "judges.extraction.last_number:LastNumber"),
        ("choice_letter", "judges.extraction.choice_letter:ChoiceLetter"),
        ("regex", "judges.extraction.regex:RegexFilter"),
        ("json_path", "judges.extraction.json_path:JsonPath"),
    ),
)


def canonical_chain(written: Any) -> str:
    """The chain as JSON text, empty without filters. Raises ValueError naming what is wrong with which."""
    steps = read_chain(FILTERS, written)
    plain = [{"filter": each.key, **options} for each, options in steps]
    return json.dumps(plain, ensure_ascii=False) if plain else ""


@lru_cache(maxsize=256)
def build_chain(text: str) -> Chain | None:
    """The filters of a canonical text, ready to use; None without any."""
    filters = [each for each, _ in read_chain(FILTERS, text)]
    return Chain(filters) if filters else None


__all__ = [
    "FILTERS",
    "CannotExtract",
    "Chain",
    "Extracted",
    "Filter",
    "Piece",
    "build_chain",
    "canonical_chain",
]
