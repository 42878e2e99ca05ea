"""Which field of a file becomes what of an item: pure data, and reading values by dotted path."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

MAX_MODEL_NAME = 200
MAX_WEIGHT = 1_000_000


class BadMapping(ValueError):
    """The mapping itself cannot be used; `reasons` name what to change."""

    def __init__(self, reasons: list[str]):
        self.reasons = reasons
        super().__init__("; ".join(reasons))


# What a field may be used as, with the word that pages show.
USES = {
    "prompt": "Prompt", "messages": "Chat messages", "chat": "Chat, last answer is the reference",
    "copy": "Chat, a copy of the item; its images",
    "reference": "Reference", "choice_number": "Reference, the number of a choice from 0",
    "response": "Response", "response_a": "Response A of a pair", "response_b": "Response B of a pair",
    "choices": "Choices", "section": "Section", "id": "Item id", "tags": "Tags",
    "asset": "Image", "context": "Context", "rubric": "Rubric", "weight": "Weight", "metadata": "Metadata",
    "skip": "Do not import",
}  # fmt: skip
QUESTIONS = ("prompt", "messages", "chat")  # the uses of which an item needs one
RESPONSES = ("response", "response_a", "response_b")
ONCE = (*QUESTIONS, "copy", "section", "id", "tags", "rubric", "weight", "response_a", "response_b")
METADATA = ("metadata", "item.metadata")  # objects there are the metadata itself, not a part of it
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING", "__bool__": lambda self: False})()


@dataclass(frozen=True, slots=True)
class FieldUse:
    """One field's part; `model` names whose response it is."""

    path: str
    use: str
    model: str = ""


@dataclass(frozen=True)
class Mapping:
    """The parts of all fields, in the order of choices, references and responses."""

    fields: tuple[FieldUse, ...] = ()

    @classmethod
    def of(cls, fields: Iterable[FieldUse]) -> Self:
        return cls(tuple(fields))

    def to_json(self) -> dict[str, Any]:
        return {
            "fields": [
                {"path": field.path, "use": field.use, **({"model": field.model} if field.model else {})}
                for field in self.fields
            ]
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Reads `{"fields": […]}` or the list alone. Raises BadMapping."""
        entries = data.get("fields") if isinstance(data, dict) else data
        if not isinstance(entries, list):
            raise BadMapping(['a mapping is {"fields": [{"path": …, "use": …}, …]}'])
        return cls.of(_field(entry) for entry in entries)

    def used_as(self, use: str) -> tuple[FieldUse, ...]:
        return self._by_use.get(use, ())

    @cached_property
    def _by_use(self) -> dict[str, tuple[FieldUse, ...]]:
        """Kept, since it is asked for with every row."""
        uses = dict.fromkeys(field.use for field in self.fields)
        return {use: tuple(field for field in self.fields if field.use == use) for use in uses}

    @cached_property
    def in_reading_order(self) -> tuple[FieldUse, ...]:
        """The number of a choice comes after the choices, messages after a prompt, which they replace."""
        return tuple(sorted(self.fields, key=lambda one: one.use in ("choice_number", "messages", "chat")))

    @property
    def question(self) -> FieldUse | None:
        """The field that holds what is asked; messages, where there are any, go before a prompt."""
        asking = [field for field in self.fields if field.use in QUESTIONS]
        return min(asking, key=lambda field: field.use == "prompt", default=None)

    def without(self, use: str) -> "Mapping":
        """The same, with fields of that use left out of the import; those of pairs count as responses."""
        dropped = RESPONSES if use == "response" else (use,)
        return Mapping.of(FieldUse(one.path, "skip") if one.use in dropped else one for one in self.fields)

    @property
    def responses(self) -> tuple[FieldUse, ...]:
        """All fields with recorded responses, those of a pair included."""
        return tuple(field for field in self.fields if field.use in RESPONSES)

    @cached_property
    def pair(self) -> tuple[FieldUse, ...]:
        """The fields of response A and response B; empty if items are no pairs."""
        sides = (*self.used_as("response_a")[:1], *self.used_as("response_b")[:1])
        return sides if len(sides) == 2 else ()

    @property
    def models(self) -> list[str]:
        """Names of the models whose responses are recorded, in order."""
        return [field.model for field in self.responses]

    def problems(self) -> list[str]:
        """Why this mapping cannot make items; empty when it can."""
        uses = Counter(field.use for field in self.fields)
        found = [f"unknown use {use!r}; known: {', '.join(USES)}" for use in uses if use not in USES]
        asked = [use for use in QUESTIONS if uses[use]]
        if not asked:
            found.append("no field is the prompt or the chat messages")
        if uses["messages"] and uses["chat"]:
            found.append("use one field as chat messages, with or without the answer")
        found += [
            f"{uses[use]} fields are used as {USES[use].lower()}; choose one" for use in ONCE if uses[use] > 1
        ]
        found += _twice("field {} is listed twice", (field.path for field in self.fields))
        found += _twice("two responses are of the model {}", self.models)
        if bool(uses["response_a"]) != bool(uses["response_b"]):
            found.append("a pair needs one field as response A and one as response B")
        for field in self.responses:
            if not field.model.strip() or len(field.model) > MAX_MODEL_NAME:
                found.append(f"name the model of {field.path}, in at most {MAX_MODEL_NAME} characters")
        return found


def _twice(words: str, values: Iterable[str]) -> list[str]:
    return [words.format(value) for value, n in Counter(values).items() if n > 1 and value]


def _field(entry: Any) -> FieldUse:
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("path"), str)
        or not isinstance(entry.get("use"), str)
    ):
        raise BadMapping(
            ['each field of a mapping is {"path": text, "use": text, "model": text for responses}']
        )
    if entry["use"] not in USES:
        raise BadMapping([f"unknown use {entry['use']!r}; known: {', '.join(USES)}"])
    return FieldUse(entry["path"], entry["use"], str(entry.get("model") or ""))


def value_at(record: Any, path: str) -> Any:
    """The value under a dotted path, or MISSING. A key that itself holds dots wins; numbers index lists."""
    if isinstance(record, dict):
        if path in record:
            return record[path]
        for cut in range(len(path) - 1, 0, -1):
            if path[cut] == "." and path[:cut] in record:
                found = value_at(record[path[:cut]], path[cut + 1 :])
                if found is not MISSING:
                    return found
    elif isinstance(record, list):
        head, _, rest = path.partition(".")
        if head.isascii() and head.isdigit() and len(head) < 7 and int(head) < len(record):
            return value_at(record[int(head)], rest) if rest else record[int(head)]
    return MISSING


def is_filled(value: Any) -> bool:
    """Whether there is anything: not missing, not null, not only white space, not an empty list."""
    return (
        value is not MISSING
        and value is not None
        and value != []
        and value != {}
        and not (isinstance(value, str) and not value.strip())
    )
