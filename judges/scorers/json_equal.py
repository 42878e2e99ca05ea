"""JSON equality: the response's JSON is a reference's, whatever the order of keys and the spacing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
from judges.scorers.json_reading import FENCED, WHERE, WHOLE, read_json


@dataclass(frozen=True)
class JsonEqualOptions(TextOptions):
    where: str = option(FENCED, help="Where the response's JSON is", choices=WHERE)
    ignore_list_order: bool = option(False, help="Lists are the same in any order")
    ignore_extra_keys: bool = option(False, help="Keys that the reference does not have do not count")
    tolerance: float = option(0.0, help="Numbers are equal if they differ by no more than this")


class JsonEqual(Scorer[JsonEqualOptions]):
    key = "json_equal"
    title = "JSON equality"
    description = (
        "The response's JSON equals a reference's; the first difference is named. 1 and 1.0 are equal, 1 and "
        "true are not."
    )
    Options = JsonEqualOptions

    @classmethod
    def check(cls, options: JsonEqualOptions) -> Mapping[str, str]:
        return {"tolerance": "must not be negative"} if options.tolerance < 0 else {}

    def score(self, subject: Subject) -> Verdict:
        if not subject.references:
            return unscored(NO_REFERENCE)
        wanted = [read_json(reference, where=WHOLE) for reference in subject.references]
        known = [each.value for each in wanted if not each.problem]
        if not known:
            return unscored(f"the reference {wanted[0].problem}")
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        given = read_json(subject.response, where=self.options.where)
        if given.problem:
            return verdict(False, answer=subject.response.strip(), explanation=given.problem)
        return self.compared(given.value, known, given.rule)

    def compared(self, given: Any, wanted: list[Any], rule: str) -> Verdict:
        answer = json.dumps(given, ensure_ascii=False)
        try:
            differences = [self.difference(given, each, "$") for each in wanted]
        except RecursionError:
            return unscored("the JSON is nested too deeply")
        if not all(differences):
            return verdict(True, answer=answer, explanation=f"{rule} equals the reference")
        return verdict(False, answer=answer, explanation=f"{rule} differs {differences[0]}")

    def difference(self, given: Any, wanted: Any, path: str) -> str:
        """The first one in words, nothing if there is none. Raises RecursionError."""
        if isinstance(wanted, dict) and isinstance(given, dict):
            return self.in_object(given, wanted, path)
        if isinstance(wanted, list) and isinstance(given, list):
            return self.in_list(given, wanted, path)
        if self.same(given, wanted):
            return ""
        return f"at {path}: {quoted(_shown(given))}, not {quoted(_shown(wanted))}"

    def in_object(self, given: dict[str, Any], wanted: dict[str, Any], path: str) -> str:
        for name, value in wanted.items():
            if name not in given:
                return f"at {path}: {quoted(name)} is missing"
            if found := self.difference(given[name], value, f"{path}.{name}"):
                return found
        extra = next((name for name in given if name not in wanted), None)
        if extra is None or self.options.ignore_extra_keys:
            return ""
        return f"at {path}: {quoted(extra)} is not in the reference"

    def in_list(self, given: list[Any], wanted: list[Any], path: str) -> str:
        if len(given) != len(wanted):
            return f"at {path}: {len(given)} items, not {len(wanted)}"
        if self.options.ignore_list_order:
            return self.unordered(given, wanted, path)
        places = enumerate(zip(given, wanted, strict=True))
        return next(
            (found for at, (one, two) in places if (found := self.difference(one, two, f"{path}[{at}]"))), ""
        )

    def unordered(self, given: list[Any], wanted: list[Any], path: str) -> str:
        """Each item wanted takes the first one left that equals it."""
        if len(given) > MOST_UNORDERED:
            return f"at {path}: more than {MOST_UNORDERED} items, too many to compare in any order"
        left = list(given)
        for value in wanted:
            match = next((at for at, each in enumerate(left) if not self.difference(each, value, path)), None)
            if match is None:
                return f"at {path}: no {quoted(_shown(value))}"
            del left[match]
        return ""

    def same(self, given: Any, wanted: Any) -> bool:
        numbers = not isinstance(given, bool) and not isinstance(wanted, bool)
        if numbers and isinstance(given, int | float) and isinstance(wanted, int | float):
            return given == wanted or abs(given - wanted) <= self.options.tolerance
        return type(given) is type(wanted) and bool(given == wanted)


MOST_UNORDERED = 300


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
