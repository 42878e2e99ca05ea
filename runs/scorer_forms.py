"""The scorers of the launch sheet: each with inputs for its options, in groups, and filters to add."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from judges.extraction import FILTERS, canonical_chain
from judges.scorers import SCORERS, BadOptions, OptionField, build_scorer, option_fields

# Where a scorer is found on the sheet; one that stands in none is found under “More”.
GROUPS: Mapping[str, Sequence[str]] = {
    "Short answers": ("exact_match", "includes", "contains", "starts_with", "levenshtein"),
    "Numbers": ("numeric",),
    "Choices": ("multiple_choice", "multiple_answers"),
    "Lists": ("set_match", "list_equal"),
    "Longer texts": ("token_f1", "rouge", "bleu", "chrf", "semantic"),
    "JSON": ("json_valid", "json_equal", "json_schema"),
    "Latency and cost": ("latency", "cost"),
    "Rules of your own": ("regex", "length", "refusal", "python"),
}
MOST_CHOSEN = 20


@dataclass(frozen=True)
class FilterChoice:
    """A filter of an extraction chain as a form offers it; `takes` is the one option typed beside it."""

    key: str
    title: str
    description: str
    takes: str = ""
    default: str = ""


@cache
def filter_choices() -> tuple[FilterChoice, ...]:
    found = []
    for key in FILTERS:
        kind = FILTERS[key]
        text = next((each for each in option_fields(kind) if each.type is str and not each.choices), None)
        takes, default = (text.name, str(text.default or "")) if text else ("", "")
        found.append(FilterChoice(key, kind.title, kind.description, takes, default))
    return tuple(found)


@dataclass
class OptionInput:
    """One option of a scorer as an input."""

    option: OptionField
    name: str
    value: Any
    error: str = ""
    offered: Sequence[tuple[str, str]] = ()  # values and words of what the workspace has to choose from

    @property
    def label(self) -> str:
        return self.option.name.replace("_", " ").capitalize()

    @property
    def kind(self) -> str:
        """The control: chain, offered, select, checkbox, long, numeric, decimal or text."""
        if self.option.name == "extract":
            return "chain"
        if self.option.offers:
            return "offered"
        if self.option.choices:
            return "select"
        if self.option.long:
            return "long"
        return {bool: "checkbox", int: "numeric", float: "decimal"}.get(self.option.type, "text")

    @property
    def is_missing(self) -> bool:
        """Chosen, but not to be had any more."""
        return bool(self.value) and self.value not in [value for value, _ in self.offered]

    @property
    def is_wide(self) -> bool:
        return self.kind in ("chain", "long")

    @property
    def steps(self) -> list[str]:
        """Of a chain: its filters in words, such as “After a marker: Answer:”; none if unreadable."""
        try:
            written = json.loads(canonical_chain(self.value) or "[]")
        except ValueError:
            return []
        return [_step_words(step) for step in written]


@dataclass
class ScorerSlot:
    """One scorer that may be chosen, with inputs for its options. `id` is its key, or key-2 for a second."""

    id: str
    key: str
    title: str
    description: str
    chosen: bool
    name: str = ""
    inputs: list[OptionInput] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        return any(entry.error for entry in self.inputs)

    @property
    def options(self) -> dict[str, Any]:
        """What was typed; an empty number means the default."""
        values = {entry.option.name: entry.value for entry in self.inputs}
        return {
            name: value
            for name, value in values.items()
            if value != "" or next(e for e in self.inputs if e.option.name == name).option.type is str
        }

    def as_json(self) -> dict[str, Any]:
        """Options as their types have them; as typed where they are wrong, for the service to say so."""
        try:
            options = asdict(build_scorer(self.key, self.options).options)
        except BadOptions:
            options = self.options
        return {"key": self.key, "name": self.name or self.id.replace("-", "_"), "options": options}

    def mark(self, bad: BadOptions) -> None:
        """Puts each problem beside its option."""
        for entry in self.inputs:
            entry.error = bad.problems.get(entry.option.name, "")


@dataclass(frozen=True)
class SlotGroup:
    """Scorers that are not chosen, under one heading."""

    title: str
    slots: Sequence[ScorerSlot]


def grouped_slots(slots: Sequence[ScorerSlot]) -> list[SlotGroup]:
    """Those not chosen, in the order of GROUPS."""
    known = {key for keys in GROUPS.values() for key in keys}
    groups = {**GROUPS, "More": [key for key in SCORERS if key not in known]}
    free = {slot.key: slot for slot in slots if not slot.chosen}
    made = [SlotGroup(title, [free[key] for key in keys if key in free]) for title, keys in groups.items()]
    return [group for group in made if group.slots]


def _step_words(step: Mapping[str, Any]) -> str:
    offered = next(each for each in filter_choices() if each.key == step["filter"])
    typed = step.get(offered.takes, offered.default) if offered.takes else ""
    return f"{offered.title}: {typed}" if typed else offered.title


def scorer_slots(
    data: Any,
    wanted: Sequence[Mapping[str, Any]],
    offers: Mapping[str, Sequence[tuple[str, str]]],
) -> list[ScorerSlot]:
    """A slot for every scorer: those chosen first, in their order, then the rest of the table. `offers` has
    values and words of what an option may be chosen from, by its kind."""
    slots = _slots(data, wanted)
    for entry in (each for slot in slots for each in slot.inputs if each.option.offers):
        entry.offered = offers.get(entry.option.offers, ())
        if not entry.value and len(entry.offered) == 1:
            entry.value = entry.offered[0][0]
    return slots


def _slots(data: Any, wanted: Sequence[Mapping[str, Any]]) -> list[ScorerSlot]:
    if data is not None:
        ids = list(
            dict.fromkeys(name for name in data.getlist("scorers") if name.partition("-")[0] in SCORERS)
        )
        ids = ids[:MOST_CHOSEN]
        slots = [_slot(name, True, data=data) for name in ids]
    else:
        slots = []
        for scorer in wanted:
            taken = sum(1 for slot in slots if slot.key == scorer["key"])
            name = scorer["key"] if not taken else f"{scorer['key']}-{taken + 1}"
            slots.append(_slot(name, True, options=scorer.get("options") or {}, label=scorer.get("name", "")))
    held = {slot.id for slot in slots}
    return slots + [_slot(key, False, data=data) for key in SCORERS if key not in held]


def _slot(
    name: str, chosen: bool, *, data: Any = None, options: Mapping[str, Any] | None = None, label: str = ""
) -> ScorerSlot:
    key = name.partition("-")[0]
    scorer = SCORERS[key]
    posted = data is not None and (chosen or any(each.startswith(f"{name}.") for each in data))
    inputs = []
    for option in option_fields(scorer):
        given = f"{name}.{option.name}"
        value: Any = (options or {}).get(option.name, "" if option.default is None else option.default)
        if posted:
            value = given in data if option.type is bool else data.get(given, value)
        inputs.append(OptionInput(option, given, value))
    label = data.get(f"{name}.name", "") if data is not None else label
    return ScorerSlot(name, key, scorer.title, scorer.description, chosen, label, inputs)
