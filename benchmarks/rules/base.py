"""What every rule is given and answers: two sides over common items, and a ruling with its figures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from analysis.stats.noninferiority import Outcome
from benchmarks.scoring import PartPair
from judges.options import Configurable, OptionsT, option
from runs.models import Run
from workspaces.models import Workspace

__all__ = ["Outcome", "Rule", "Ruling", "Side", "Subject", "inconclusive", "option"]


@dataclass(frozen=True)
class Side:
    """One of the two that are compared, with its runs in the order of the parts."""

    name: str
    runs: Sequence[Run]


@dataclass(frozen=True)
class Subject:
    """What a gate is put to. A side that is missing says why in `missing`; then there are no pairs.

    `pairs` are candidate against baseline, one a part; their keys are item ids of the candidate's runs.
    `judged` are a judge's version and the dataset that it scores, by id.
    """

    workspace: Workspace
    candidate: Side | None = None
    baseline: Side | None = None
    pairs: Sequence[PartPair] = ()
    judged: Sequence[tuple[int, int]] = ()
    missing: str = ""


@dataclass(frozen=True)
class Ruling:
    """`needed`: how many more items (or labels) a clear answer takes, where that is known."""

    outcome: Outcome
    figures: str
    needed: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    needed_of: Literal["items", "labels"] = "items"

    @property
    def still_needed(self) -> str:
        """In words, or ""."""
        if self.needed is None:
            return ""
        what = self.needed_of if self.needed != 1 else self.needed_of.removesuffix("s")
        return f"about {self.needed:,} more {what} would decide it"


def inconclusive(why: str) -> Ruling:
    return Ruling(Outcome.INCONCLUSIVE, why)


class Rule(Configurable[OptionsT], ABC):
    """A rule with typed options. `compares`: it needs a baseline."""

    compares: ClassVar[bool] = True

    @abstractmethod
    def judge(self, subject: Subject) -> Ruling:
        """Never raises for what is merely missing: that is inconclusive, and says what to do."""

    @abstractmethod
    def __str__(self) -> str:
        """The rule in words, with its options."""


Find = Callable[[], Subject]
