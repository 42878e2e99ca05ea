"""Scorers: code that scores one response. One small file each, listed in SCORERS."""

from collections.abc import Mapping
from typing import Any

from evalportal.lib.plugins import PluginTable
from judges.scorers.base import (
    BadOptions,
    OptionField,
    Scorer,
    Subject,
    Verdict,
    option_fields,
    read_options,
)

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
    scorer: type[Scorer[Any]] = SCORERS[key]
    return scorer(read_options(scorer, options or {}))


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
