"""The judge gives a number between two ends; from a threshold on it is a pass."""

from math import isfinite

from judges.kinds.base import Frozen, Kind


class Score(Kind):
    title = "Score"
    summary = "A number between two ends; from a threshold on it is a pass"
    names = frozenset({"response", "minimum", "maximum"})

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
