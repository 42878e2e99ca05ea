"""The judge gives a number between two ends; from a threshold on it is a pass."""

import re
from math import isfinite
from typing import Any

from judges.kinds.base import Frozen, JudgeVerdict, Kind, NoVerdict

NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?")


class Score(Kind):
    title = "Score"
    summary = "A number between two ends; from a threshold on it is a pass"
    names = frozenset({"response", "minimum", "maximum"})
    field = "score"

    def problems(self, fields: Frozen) -> dict[str, str]:
        low, high, threshold = fields["minimum"], fields["maximum"], fields["threshold"]
        found = {
            name: "Give a number."
            for name, value in (("minimum", low), ("maximum", high), ("threshold", threshold or 0))
            if not isinstance(value, int | float) or not isfinite(value)
        }
        if found:
            return found
        if low >= high:
            return {"maximum": "The highest score has to be above the lowest."}
        if threshold is not None and not low < threshold <= high:
            return {"threshold": "A pass begins above the lowest score and at most at the highest."}
        if fields["integer"] and not (float(low).is_integer() and float(high).is_integer()):
            return {"integer": "For whole numbers both ends have to be whole."}
        if fields["aggregate"] == "majority":
            return {"aggregate": "Scores of several judge models are taken by their mean."}
        return {}

    def contract(self, frozen: Frozen) -> str:
        noun = "a whole number" if frozen["integer"] else "a number"
        return f"{noun} from {frozen['minimum']:g} (worst) to {frozen['maximum']:g} (best)"

    def schema(self, frozen: Frozen) -> dict[str, Any]:
        number = int if frozen["integer"] else float
        low, high = number(frozen["minimum"]), number(frozen["maximum"])
        return {"type": "integer" if frozen["integer"] else "number", "minimum": low, "maximum": high}

    def read(self, frozen: Frozen, said: Any, *, swapped: bool) -> JudgeVerdict | NoVerdict:
        if isinstance(said, str) and NUMBER.fullmatch(said.strip()):
            said = float(said)
        if not isinstance(said, int | float) or isinstance(said, bool):
            return NoVerdict("unparseable", f"{said!r:.80} is no number")
        if not frozen["minimum"] <= said <= frozen["maximum"]:
            return NoVerdict("out_of_range", f"{said!r:.40} is not within {_range(frozen)}")
        if frozen["integer"] and said != int(said):
            return NoVerdict("out_of_range", f"{said:g} is no whole number")
        return JudgeVerdict(float(said), self.passed(frozen, said), f"{said:g}")

    def passed(self, frozen: Frozen, value: float) -> bool | None:
        threshold = frozen["threshold"]
        return None if threshold is None else value >= threshold


def _range(frozen: Frozen) -> str:
    return f"{frozen['minimum']:g} to {frozen['maximum']:g}"
