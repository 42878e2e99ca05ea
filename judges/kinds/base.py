"""What every kind of judge shares: the verdict, the reasons why there is none, and what a kind must tell."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

Frozen = Mapping[str, Any]  # of `judges.models.frozen`

REASONS = {
    "unparseable": "the judge's answer holds no verdict",
    "out_of_range": "the judge's score is out of range",
    "invalid_label": "the judge's label is none of those it was given",
    "refused": "the judge declined to judge",
    "truncated": "the judge's answer breaks off before its verdict",
    "too_few_votes": "too few of the judge models gave a verdict",
    "template": "the judge's template cannot be rendered for this item",
    "call_failed": "the judge model could not be asked",
    "no_majority": "as many judge models say pass as fail",
}


@dataclass(frozen=True, slots=True)
class JudgeVerdict:
    """`answer` is the label, the number as text, or A, B or tie; `passed` is None where nothing is a pass.

    Values: classify 1 or 0; score the number itself; compare 1 (A), 0.5 (tie) or 0 (B). Flags:
    `single_pass` (one of two orders failed), `flipped` (the orders disagree), `split` (repeats or members
    of a panel disagree), `votes_missing` (some of them failed).
    """

    value: float
    passed: bool | None
    answer: str
    feedback: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoVerdict:
    """`reason` is a key of REASONS; `detail` says what was found, for people."""

    reason: str
    detail: str = ""

    @property
    def short(self) -> str:
        """no majority"""
        return self.reason.replace("_", " ")

    def __str__(self) -> str:
        words = REASONS.get(self.reason, self.reason)
        return f"{words}: {self.detail}" if self.detail else words


class Kind(ABC):
    """Reads only the fields of a frozen judge that are its own."""

    title: ClassVar[str]
    summary: ClassVar[str]
    names: ClassVar[frozenset[str]]  # what its templates may use besides the item's fields
    field: ClassVar[str]  # the verdict's name in the answer

    @abstractmethod
    def problems(self, fields: Frozen) -> dict[str, str]:
        """What is wrong with a judge of this kind: field → message."""

    @abstractmethod
    def contract(self, frozen: Frozen) -> str:
        """What the judge model is told of the verdict's field."""

    @abstractmethod
    def schema(self, frozen: Frozen) -> dict[str, Any]:
        """The verdict's field as JSON schema."""

    @abstractmethod
    def read(self, frozen: Frozen, said: Any, *, swapped: bool) -> JudgeVerdict | NoVerdict:
        """The verdict's field as it came, decoded from JSON. Never raises."""

    def passed(self, frozen: Frozen, value: float) -> bool | None:
        """Of the mean of several values: more than half is a pass, less a fail."""
        return None if value == 0.5 else value > 0.5
