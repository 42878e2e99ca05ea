"""What every scorer shares: the subject, the verdict, and the words for both."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from judges.extraction import canonical_chain
from judges.options import (
    BadOptions,
    Configurable,
    NoOptions,
    OptionField,
    OptionsT,
    option,
    option_fields,
    read_options,
)

SHOWN = 2_000  # characters of an answer that are kept; the response itself is stored whole


@dataclass(frozen=True, slots=True)
class Subject:
    """One response with what a scorer may compare it to. `cost` is in dollars; None is not known."""

    response: str
    references: Sequence[str] = ()
    choices: Sequence[str] = ()
    prompt: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    latency_ms: float | None = None
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A value with what was read and why, or no value and the reason; unscored is never 0."""

    value: float | None
    passed: bool | None
    answer: str = ""
    explanation: str = ""
    unscored_reason: str = ""


def verdict(passed: bool, *, answer: str, explanation: str) -> Verdict:
    """Right (1) or wrong (0)."""
    return Verdict(float(passed), passed, storable(answer), storable(explanation))


def graded(value: float, *, pass_at: float, answer: str, explanation: str) -> Verdict:
    """A degree; it passes from `pass_at` on."""
    return Verdict(value, value >= pass_at, storable(answer), storable(explanation))


def unscored(reason: str, *, answer: str = "", explanation: str = "") -> Verdict:
    return Verdict(None, None, storable(answer), storable(explanation), storable(reason)[:200])


NO_REFERENCE = "the item has no reference"
EMPTY = "the response is empty"


def storable(text: str) -> str:
    """Cut to what is shown, without what a database refuses: NUL and lone surrogates."""
    short = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return short.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def quoted(text: str, limit: int = 80) -> str:
    """A piece of text inside an explanation, on one line."""
    line = " ".join(text.split())
    return f"“{line if len(line) <= limit else line[: limit - 1] + '…'}”"


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """Of every scorer that reads the response."""

    extract: str = option(
        "",
        help="Filters that find the answer first, by key or as a JSON list, such as last_line | last_number "
        'or [{"filter": "after_marker", "marker": "Answer:"}]; empty: the scorer reads the response itself',
        read=canonical_chain,
        long=True,
    )


class Scorer(Configurable[OptionsT], ABC):
    """Scores one response. Built once per run, used for every trial: keep no state between trials."""

    Options: ClassVar[type[Any]] = TextOptions
    needs_reference: ClassVar[bool] = True  # without one the trial is unscored
    reads_response: ClassVar[bool] = True  # an empty response is wrong
    asks_model: ClassVar[bool] = False  # a registered model, in a run of its own (judges.scorers.semantic)
    best: ClassVar[float] = 1.0  # the highest value, where there is one; the lowest is 0

    @abstractmethod
    def score(self, subject: Subject) -> Verdict:
        """Never raises on any text; a missing reference is unscored, an empty response is wrong."""


class Degree(Scorer[OptionsT]):
    """How near the response comes to the nearest of its references; passes from `options.pass_at` on."""

    def score(self, subject: Subject) -> Verdict:
        if not subject.references:
            return unscored(NO_REFERENCE)
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        value, explanation = self.nearest(subject.response, subject.references)
        pass_at: float = getattr(self.options, "pass_at")  # noqa: B009 (each has the option, with its own default)
        return graded(value, pass_at=pass_at, answer=subject.response.strip(), explanation=explanation)

    @abstractmethod
    def nearest(self, response: str, references: Sequence[str]) -> tuple[float, str]:
        """The value and what it comes from."""


__all__ = [
    "EMPTY",
    "NO_REFERENCE",
    "BadOptions",
    "Degree",
    "NoOptions",
    "OptionField",
    "Scorer",
    "Subject",
    "TextOptions",
    "Verdict",
    "graded",
    "option",
    "option_fields",
    "quoted",
    "read_options",
    "storable",
    "unscored",
    "verdict",
]
