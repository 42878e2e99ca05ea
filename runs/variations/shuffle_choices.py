"""The choices in another order; references that are letters or numbers go with them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import factorial
from random import Random
from string import ascii_uppercase

from django.db.models import Q

from judges.scorers.item_lists import read_items
from judges.scorers.multiple_answers import LETTER, LETTERS, TOGETHER
from judges.scorers.multiple_choice import ALONE
from judges.scorers.normalise import normalise
from judges.templating import names_used
from runs.variations.base import Content, Strategy, counted, option, replace

MOSTLY = 0.5


@dataclass(frozen=True)
class ShuffleChoicesOptions:
    count: int = option(2, help="Orders beside the original, each another one")
    seed: int = option(1, help="The same seed gives the same orders")


class ShuffleChoices(Strategy[ShuffleChoicesOptions]):
    key = "shuffle_choices"
    title = "Choice order shuffled"
    description = (
        "The same choices in another order, and the reference with them: does the place of the answer matter?"
    )
    Options = ShuffleChoicesOptions
    none_applies = "No item here has enough choices to be asked in another order."

    @classmethod
    def check(cls, options: ShuffleChoicesOptions) -> Mapping[str, str]:
        return counted(options)

    @property
    def titles(self) -> Sequence[str]:
        return [f"Order {number}" for number in range(1, self.options.count + 1)]

    def applies(self, number: int) -> Q:
        """Items with enough choices for so many other orders."""
        least = next(size for size in range(2, 27) if factorial(size) > number)
        return Q(**{f"choices__{least - 1}__isnull": False})

    def problems(self, template: str, sample: Sequence[Content]) -> list[str]:
        if "choices" not in names_used(template):
            return ["The prompt template does not show {{ choices }}, so their order cannot be shuffled."]
        chosen = [content for content in sample if len(content.choices) > 1]
        listed = [
            content for content in chosen if all(str(each) in content.prompt for each in content.choices)
        ]
        if chosen and len(listed) > MOSTLY * len(chosen):
            return ["The items' own text lists their choices too, so their order cannot be shuffled."]
        return []

    def applied(self, content: Content, number: int) -> Content:
        order = order_of(content, self.options.seed, number)
        return replace(
            content,
            choices=[content.choices[old] for old in order],
            references=[moved(str(each), content, order) for each in content.references],
        )


def order_of(content: Content, seed: int, number: int) -> list[int]:
    """Old places by new place: the `number`-th other order that the seed and the item's content draw."""
    size = len(content.choices)
    same = list(range(size))
    if factorial(size) <= number:
        return same
    drawn = Random(repr((seed, content.prompt, [str(each) for each in content.choices])))  # noqa: S311 (no secret)
    seen: list[list[int]] = [same]
    while len(seen) <= number:
        order = drawn.sample(same, size)
        if order not in seen:
            seen.append(order)
    return seen[-1]


def moved(reference: str, content: Content, order: Sequence[int]) -> str:
    """A reference as it reads under the new order: a letter or a number moves, a choice's text stays."""
    if normalise(reference.strip()) in {normalise(str(each).strip()) for each in content.choices}:
        return reference
    size = len(content.choices)
    letters = ascii_uppercase[:size]
    to = {
        letters[old]: letters[new]
        for new, old in enumerate(order)
        if old < len(letters) and new < len(letters)
    }
    bare = reference.strip()
    if bare.isascii() and bare.isdigit() and len(bare) < 4:
        place = int(bare) - content.first_index
        return str(list(order).index(place) + content.first_index) if 0 <= place < size else reference
    if ALONE.fullmatch(reference) or LETTERS.fullmatch(reference):
        return _replaced(LETTER, reference, to)
    if (together := TOGETHER.fullmatch(reference)) and set(together[1]) <= set(letters):
        return "".join(sorted(to[letter] for letter in together[1]))
    items = read_items(reference).items
    if len(items) > 1 and all(ALONE.fullmatch(each) or each.strip().isdigit() for each in items):
        return ", ".join(moved(each, replace(content), order) for each in items)
    return reference


def _replaced(pattern: "re.Pattern[str]", text: str, to: Mapping[str, str]) -> str:
    """Each letter by the one that it has become, in its own case."""

    def new(found: "re.Match[str]") -> str:
        letter = found[0]
        put = to.get(letter.upper(), letter.upper())
        return put if letter.isupper() else put.lower()

    return pattern.sub(new, text)
