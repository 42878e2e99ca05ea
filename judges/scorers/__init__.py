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
        ("multiple_answers", "judges.scorers.multiple_answers:MultipleAnswers"),
        ("contains", "judges.scorers.contains:Contains"),
        ("starts_with", "judges.scorers.starts_with:StartsWith"),
        ("set_match", "judges.scorers.set_match:SetMatch"),
        ("list_equal", "judges.scorers.list_equal:ListEqual"),
        ("token_f1", "judges.scorers.token_f1:TokenF1"),
        ("bleu", "judges.scorers.translation:Bleu"),
        ("chrf", "judges.scorers.translation:Chrf"),
        ("rouge", "judges.scorers.rouge:Rouge"),
        ("levenshtein", "judges.scorers.levenshtein:LevenshteinSimilarity"),
        ("json_valid", "judges.scorers.json_valid:JsonValid"),
        ("json_equal", "judges.scorers.json_equal:JsonEqual"),
        ("json_schema", "judges.scorers.json_schema:JsonSchema"),
        ("length", "judges.scorers.length:Length"),
        ("refusal", "judges.scorers.refusal:Refusal"),
        ("latency", "judges.scorers.latency:Latency"),
        ("cost", "judges.scorers.cost:Cost"),
        ("semantic", "judges.scorers.semantic:Semantic"),
        ("python", "judges.scorers.python_expression:PythonExpression"),
    ),
)


def build_scorer(key: str, options: Mapping[str, Any] | None = None) -> Scorer[Any]:
    """The scorer of that key, ready to score. Raises UnknownPlugin, BadOptions (field → message)."""
    kind: type[Scorer[Any]] = SCORERS[key]
    scorer = kind(read_options(kind, options or {}))
    chain = build_chain(getattr(scorer.options, "extract", ""))
    return Extracting(scorer, chain) if chain and not kind.asks_model else scorer


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
