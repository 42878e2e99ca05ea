"""List equality: the list in the response is a reference's list, in order or as a set."""

from collections import Counter
from dataclasses import dataclass

from judges.scorers.base import (
    EMPTY,
    NO_REFERENCE,
    Scorer,
    Subject,
    TextOptions,
    Verdict,
    option,
    quoted,
    unscored,
    verdict,
)
from judges.scorers.item_lists import SEPARATORS, read_items
from judges.scorers.normalise import normalise


@dataclass(frozen=True)
class ListEqualOptions(TextOptions):
    order: str = option(
        "ordered",
        help="What must be the same",
        choices={
            "ordered": "The items in their order",
            "unordered": "The items as often as they occur, in any order",
            "set": "The items, in any order and however often",
        },
    )
    separator: str = option("auto", help="What tells the items of a list apart", choices=SEPARATORS)
    ignore_case: bool = option(True, help="Upper and lower case are the same")


class ListEqual(Scorer[ListEqualOptions]):
    key = "list_equal"
    title = "List equality"
    description = "The response is the list of a reference: each reference is one whole list that counts."
    Options = ListEqualOptions

    def score(self, subject: Subject) -> Verdict:
        references = [reference for reference in subject.references if reference.strip()]
        if not references:
            return unscored(NO_REFERENCE)
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        listed = read_items(subject.response, self.options.separator)
        given = self.plain(listed.items)
        wanted = [self.plain(read_items(each, self.options.separator).items) for each in references]
        passed = any(self.same(given, each) for each in wanted)
        relation = "the reference's list" if passed else _difference(given, wanted[0])
        return verdict(
            passed,
            answer=", ".join(listed.items),
            explanation=f"{len(given)} items ({listed.rule}): {relation}",
        )

    def plain(self, items: list[str]) -> list[str]:
        return [normalise(item, case=self.options.ignore_case) for item in items]

    def same(self, given: list[str], wanted: list[str]) -> bool:
        if self.options.order == "ordered":
            return given == wanted
        if self.options.order == "unordered":
            return Counter(given) == Counter(wanted)
        return set(given) == set(wanted)


def _difference(given: list[str], wanted: list[str]) -> str:
    pairs = enumerate(zip(given, wanted, strict=False), 1)
    place, mine, theirs = next(((at, one, two) for at, (one, two) in pairs if one != two), (0, "", ""))
    if place:
        return f"item {place} is {quoted(mine)}, not {quoted(theirs)}"
    return f"the reference has {len(wanted)}"
