"""What a benchmark is to be: plain data that pages, API and bundles share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from judges.templating import DEFAULT_TEMPLATE


class BenchmarkProblems(Exception):
    """It cannot be so; `problems` maps a field, such as `parts.1.primary`, to messages."""

    def __init__(self, problems: Mapping[str, Sequence[str]]):
        self.problems = {name: list(texts) for name, texts in problems.items()}
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in self.problems.items()))


@dataclass(frozen=True, kw_only=True)
class PartWish:
    """One part; without `primary` the first scorer or judge counts."""

    version_id: int | None
    scorers: Sequence[Mapping[str, Any]] = ()
    judge_ids: Sequence[int] = ()
    subset_id: int | None = None
    sections: Sequence[str] = ()
    limit: int | None = None
    template: str = DEFAULT_TEMPLATE
    params: Mapping[str, Any] = field(default_factory=dict)
    primary: str = ""
    measure: str = "share"
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class PhaseWish:
    """One phase; `id` of one that is there already."""

    name: str
    id: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    sections: Sequence[str] = ()
    limit: int | None = None
    most_runs: int | None = None
    most_per: str = "model"


@dataclass(frozen=True, kw_only=True)
class BenchmarkWish:
    """The whole of it; `slug` is made from the name unless given."""

    name: str
    summary: str = ""
    slug: str = ""
    parts: Sequence[PartWish] = ()
    phases: Sequence[PhaseWish] = ()
