"""Scorers: code that scores one response. One small file each, listed in SCORERS."""

from collections.abc import Mapping
from typing import Any

from evalportal.lib.plugins import PluginTable
from judges.extraction import build_chain
from judges.scorers.base import (
    BadOptions,
    OptionField,
    Scorer,
    Subject,
    Verdict,
    option_fields,
    read_options,
)
from judges.scorers.extracting import Extracting

SCORERS = PluginTable(
    "scorer",
    (
        ("exact_match", "judges.scorers.exact_match:ExactMatch"),
        ("includes", "judges.scorers.includes:Includes"),
        ("regex", "judges.scorers.regex:Regex"),
        ("numeric", "judges.scorers.numeric:Numeric"),
        ("multiple_choice", "judges.scorers.multiple_choice:MultipleChoice"),
    ),
)


def build_scorer(key: str, options: Mapping[str, Any] | None = None) -> Scorer[Any]:
    """The scorer of that key, ready to score. Raises UnknownPlugin, BadOptions (field → message)."""
    kind: type[Scorer[Any]] = SCORERS[key]
    scorer = kind(read_options(kind, options or {}))
    chain = build_chain(getattr(scorer.options, "extract", ""))
    return Extracting(scorer, chain) if chain else scorer


__all__ = [
    "SCORERS",
    "BadOptions",
    "OptionField",
    "Scorer",
    "Subject",
    "Verdict",
    "build_scorer",
    "option_fields",
]
