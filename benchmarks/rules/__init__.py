"""What a gate can ask for: one small file each, listed in RULES."""

from collections.abc import Mapping
from typing import Any

from benchmarks.rules.base import Rule, Ruling, Side, Subject
from evalportal.lib.plugins import PluginTable
from judges.options import read_options

RULES = PluginTable(
    "gate rule",
    (
        ("not_worse", "benchmarks.rules.not_worse:NotWorse"),
        ("judge_certified", "benchmarks.rules.judge_certified:JudgeCertified"),
        ("triaged", "benchmarks.rules.triaged:Triaged"),
    ),
)


def build_rule(key: str, options: Mapping[str, Any]) -> Rule[Any]:
    """Raises UnknownPlugin and BadOptions."""
    kind: type[Rule[Any]] = RULES[key]
    return kind(read_options(kind, options))


__all__ = ["RULES", "Rule", "Ruling", "Side", "Subject", "build_rule"]
