"""What every scorer shares: the subject, the verdict, and typed options with help texts for forms."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from math import isfinite
from typing import Any, ClassVar, Generic, TypeVar, get_type_hints

SHOWN = 2_000  # characters of an answer that are kept; the response itself is stored whole


@dataclass(frozen=True, slots=True)
class Subject:
    """One response with what a scorer may compare it to."""

    response: str
    references: Sequence[str] = ()
    choices: Sequence[str] = ()
    prompt: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


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


class BadOptions(Exception):
    """Options that a scorer can't use; `problems` maps each field to what is wrong with it."""

    def __init__(self, problems: Mapping[str, str]):
        self.problems = dict(problems)
        super().__init__("; ".join(f"{name}: {problem}" for name, problem in self.problems.items()))


def option(default: Any = MISSING, *, help: str, choices: Mapping[str, str] | None = None) -> Any:
    """A field of an Options dataclass; without a default it is required."""
    return field(default=default, metadata={"help": help, "choices": choices or {}})


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option as a form needs it. `type` is str, int, float or bool; `choices` maps value to label."""

    name: str
    type: type
    default: Any
    help: str
    choices: Mapping[str, str]
    required: bool


@dataclass(frozen=True)
class NoOptions:
    """Of a scorer without any."""


OptionsT = TypeVar("OptionsT")


class Scorer(ABC, Generic[OptionsT]):
    """Scores one response. Built once per run, used for every trial: keep no state between trials."""

    key: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    Options: ClassVar[type[Any]] = NoOptions
    blocks: ClassVar[bool] = False  # may wait or compute for long, so it is not called on an event loop

    def __init__(self, options: OptionsT):
        self.options = options

    @classmethod
    def check(cls, options: Any) -> Mapping[str, str]:
        """Problems that types can't tell, field → message."""
        return {}

    @abstractmethod
    def score(self, subject: Subject) -> Verdict:
        """Never raises on any text; a missing reference is unscored, an empty response is wrong."""


def option_fields(scorer: type[Scorer[Any]]) -> list[OptionField]:
    """The options of a scorer, in order, for forms, the API and the terminal."""
    types = get_type_hints(scorer.Options)
    return [_describe(entry, types[entry.name]) for entry in fields(scorer.Options)]


def _describe(entry: "Field[Any]", kind: type) -> OptionField:
    required = entry.default is MISSING
    return OptionField(
        name=entry.name,
        type=kind,
        default=None if required else entry.default,
        help=entry.metadata["help"],
        choices=entry.metadata["choices"],
        required=required,
    )


def read_options(scorer: type[Scorer[Any]], raw: Mapping[str, Any]) -> Any:
    """Typed options from JSON, form or terminal values. Raises BadOptions naming every wrong field."""
    known = {entry.name: entry for entry in option_fields(scorer)}
    problems = {name: _unknown(name, known) for name in raw if name not in known}
    values: dict[str, Any] = {}
    for name, entry in known.items():
        if name not in raw:
            if entry.required:
                problems[name] = "is required"
            continue
        try:
            values[name] = _typed(entry, raw[name])
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        raise BadOptions(problems)
    options = scorer.Options(**values)
    problems.update(scorer.check(options))
    if problems:
        raise BadOptions(problems)
    return options


def _unknown(name: str, known: Mapping[str, OptionField]) -> str:
    near = get_close_matches(str(name), known, n=1, cutoff=0.5)
    return (
        f"no such option; did you mean {near[0]}?"
        if near
        else f"no such option; known: {', '.join(known) or 'none'}"
    )


TRUE, FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0", ""}


def _typed(entry: OptionField, value: Any) -> Any:
    if entry.type is bool:
        return _flag(value)
    if entry.type in (int, float):
        return _number(entry.type, value)
    if not isinstance(value, str):
        raise ValueError("must be text")
    if entry.choices and value not in entry.choices:
        raise ValueError(f"{value!r} is none of {', '.join(entry.choices)}")
    return value


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError(f"{value!r} is neither true nor false")
    return word in TRUE


def _number(kind: type, value: Any) -> int | float:
    noun = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be {noun}")
    try:
        number: int | float = kind(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{value!r} is not {noun}") from error
    if not isfinite(number) or (kind is int and isinstance(value, float) and number != value):
        raise ValueError(f"{value!r} is not {noun}")
    return number
