"""Typed options of scorers and filters: read from JSON, a form or the terminal, and described for forms."""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from difflib import get_close_matches
from math import isfinite
from typing import Any, ClassVar, Generic, TypeVar, get_type_hints


class BadOptions(Exception):
    """Options that can't be used; `problems` maps each field to what is wrong with it."""

    def __init__(self, problems: Mapping[str, str]):
        self.problems = dict(problems)
        super().__init__("; ".join(f"{name}: {problem}" for name, problem in self.problems.items()))


def option(
    default: Any = MISSING,
    *,
    help: str,
    choices: Mapping[str, str] | None = None,
    read: Callable[[Any], str] | None = None,
    long: bool = False,
    offers: str = "",
) -> Any:
    """A field of an Options dataclass; without a default it is required.

    `read` makes text of another JSON value that is accepted too, and raises ValueError; `long` asks a form
    for several lines. `offers` names a list that only the workspace knows, which a form shows to choose from.
    """
    return field(
        default=default,
        metadata={"help": help, "choices": choices or {}, "read": read, "long": long, "offers": offers},
    )


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option as a form needs it. `type` is str, int, float or bool; `choices` maps value to label."""

    name: str
    type: type
    default: Any
    help: str
    choices: Mapping[str, str]
    required: bool
    long: bool = False
    read: Callable[[Any], str] | None = None
    offers: str = ""


@dataclass(frozen=True)
class NoOptions:
    """Of what has none."""


OptionsT = TypeVar("OptionsT")


class Configurable(Generic[OptionsT]):
    """A plug-in with typed options and words for forms."""

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


def option_fields(kind: type[Configurable[Any]]) -> list[OptionField]:
    """The options in order, those that many share last, for forms, the API and the terminal."""
    types = get_type_hints(kind.Options)
    own_first = sorted(fields(kind.Options), key=lambda entry: entry.kw_only is True)
    return [_describe(entry, types[entry.name]) for entry in own_first]


def _describe(entry: "Field[Any]", kind: type) -> OptionField:
    required = entry.default is MISSING
    return OptionField(
        name=entry.name,
        type=kind,
        default=None if required else entry.default,
        help=entry.metadata["help"],
        choices=entry.metadata["choices"],
        required=required,
        long=entry.metadata["long"],
        read=entry.metadata["read"],
        offers=entry.metadata["offers"],
    )


def read_options(kind: type[Configurable[Any]], raw: Mapping[str, Any]) -> Any:
    """Typed options from JSON, form or terminal values. Raises BadOptions naming every wrong field."""
    known = {entry.name: entry for entry in option_fields(kind)}
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
    options = kind.Options(**values)
    problems.update(kind.check(options))
    if problems:
        raise BadOptions(problems)
    return options


def as_json(value: Any) -> str:
    """For `read`: a list or an object as its JSON text, text as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
    if entry.read:
        value = entry.read(value)
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
