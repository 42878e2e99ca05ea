"""A ready-made judge: everything but the models it asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """`fields` are further fields of a version, such as `labels` or `minimum`."""

    title: str
    description: str
    kind: str
    system_template: str
    user_template: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def label(name: str, passes: bool, meaning: str) -> dict[str, Any]:
    return {"label": name, "meaning": meaning, "passes": passes}


def one_to_five(threshold: float = 4) -> dict[str, Any]:
    return {"minimum": 1, "maximum": 5, "threshold": threshold, "integer": True}
