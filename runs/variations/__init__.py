"""Variations: each item is asked as it is and k times otherwise. One small file a strategy, in STRATEGIES.

docs/adr/0008-variations.md says why a variant is a turn of its item.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalportal.lib.plugins import PluginTable
from judges.options import BadOptions, read_options
from runs.variations.base import MOST, Content, Strategy

STRATEGIES = PluginTable(
    "variation",
    (
        ("shuffle_choices", "runs.variations.shuffle_choices:ShuffleChoices"),
        ("templates", "runs.variations.templates:Templates"),
        ("paraphrases", "runs.variations.paraphrases:Paraphrases"),
    ),
)
MAX_VARIANTS = 20  # of one run, over all strategies
ORIGINAL = "Original"
DRAFTING_LABEL = "paraphrasing"  # of runs that draft paraphrases: they say nothing of how hard items are


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to ask an item otherwise; `number` is its own within the strategy, from 1."""

    strategy: Strategy[Any]
    number: int
    title: str


@dataclass(frozen=True, slots=True)
class Variants:
    """The variants of a run, and how an item's turns number them: first all epochs of the original, then
    those of variant 1, and so on. `passes` is a judging's, whose turns each stand for one it judges."""

    epochs: int
    variants: Sequence[Variant]
    template: str
    first_index: int = 0
    passes: int = 1

    @property
    def turns(self) -> int:
        """Trials of an item that has every variant."""
        return self.epochs * (len(self.variants) + 1)

    @property
    def titles(self) -> list[str]:
        """The original's first."""
        return [ORIGINAL, *(variant.title for variant in self.variants)]

    def place(self, turn: int) -> int:
        """Which variant a trial's `epoch` is, 0 for the original."""
        return min((turn - 1) // self.passes // self.epochs, len(self.variants))

    def epoch(self, turn: int) -> int:
        """Within its variant, from 1."""
        return (turn - 1) // self.passes % self.epochs + 1

    def turns_of(self, place: int) -> tuple[int, int]:
        """The first and the last turn of a variant."""
        each = self.epochs * self.passes
        return place * each + 1, (place + 1) * each

    @property
    def reads_paraphrases(self) -> bool:
        return any(variant.strategy.reads_paraphrases for variant in self.variants)

    def asked(
        self, row: Mapping[str, Any], turn: int, paraphrases: Mapping[int, str] | None = None
    ) -> Mapping[str, Any]:
        """An item's row with its prompt, messages, choices and references as that turn asks them."""
        place = self.place(turn)
        if not place:
            return row
        variant = self.variants[place - 1]
        fields = {name: row[name] for name in FIELDS}
        content = Content(**fields, first_index=self.first_index, paraphrases=paraphrases or {})
        asked = variant.strategy.applied(content, variant.number)
        return {**row, **{name: getattr(asked, name) for name in FIELDS}}

    def template_of(self, turn: int) -> str:
        place = self.place(turn)
        if not place:
            return self.template
        variant = self.variants[place - 1]
        return variant.strategy.template(self.template, variant.number)


FIELDS = ("prompt", "messages", "choices", "references")


def build_strategy(key: str, options: Mapping[str, Any] | None = None) -> Strategy[Any]:
    """The strategy of that key. Raises UnknownPlugin, BadOptions (field → message)."""
    kind: type[Strategy[Any]] = STRATEGIES[key]
    return kind(read_options(kind, options or {}))


def variants_of(config: Mapping[str, Any], passes: int = 1) -> Variants:
    """Of a run's frozen configuration; `passes` where the turns are those of a judging of it."""
    built = [build_strategy(each["key"], each["options"]) for each in config.get("variations") or ()]
    return Variants(
        epochs=int(config.get("epochs") or 1),
        variants=listed(built),
        template=str(config.get("template", "")),
        first_index=_first_index(config.get("scorers") or ()),
        passes=max(1, passes),
    )


def listed(strategies: Sequence[Strategy[Any]]) -> list[Variant]:
    """All variants of the strategies, in order."""
    return [
        Variant(strategy, number, title)
        for strategy in strategies
        for number, title in enumerate(strategy.titles, 1)
    ]


def turns_of(config: Mapping[str, Any]) -> int:
    """Trials of an item at most: its epochs, for the original and for each variant."""
    variants = sum(len(each["titles"]) for each in config.get("variations") or ())
    return int(config.get("epochs") or 1) * (1 + variants)


def asked_alike(mine: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the turns that both of two frozen configurations have were asked in the same way, so that the
    responses of one turn belong side by side."""
    return all(one == two for one, two in zip(_ways(mine), _ways(other), strict=False))


def _ways(config: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """By turn, how it was asked: nothing for the original."""
    varied = [
        (each["key"], each["options"], number)
        for each in config.get("variations") or ()
        for number in range(len(each["titles"]))
    ]
    return [way for way in ((), *varied) for _ in range(int(config.get("epochs") or 1))]


def _first_index(scorers: Sequence[Mapping[str, Any]]) -> int:
    """What the first choice has where references are numbers, as the run's scorers read them."""
    given = (scorer.get("options", {}).get("first_index") for scorer in scorers)
    return int(next((value for value in given if value is not None), 0))


__all__ = [
    "DRAFTING_LABEL",
    "FIELDS",
    "MAX_VARIANTS",
    "MOST",
    "ORIGINAL",
    "STRATEGIES",
    "BadOptions",
    "Content",
    "Strategy",
    "Variant",
    "Variants",
    "asked_alike",
    "build_strategy",
    "listed",
    "turns_of",
    "variants_of",
]
