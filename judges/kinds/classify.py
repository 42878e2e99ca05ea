"""The judge chooses one of several labels; each counts as a pass or as a fail."""

from typing import Any

from judges.kinds.base import Frozen, JudgeVerdict, Kind, NoVerdict

MOST_LABELS = 20
MAX_LABEL = 60
MAX_MEANING = 500


class Classify(Kind):
    title = "Classify"
    summary = "One of several labels, each of which is a pass or a fail"
    names = frozenset({"response", "labels"})
    field = "label"

    def problems(self, fields: Frozen) -> dict[str, str]:
        why = _labels_problem(fields["labels"])
        return {"labels": why} if why else {}

    def contract(self, frozen: Frozen) -> str:
        lines = [_line(label) for label in frozen["labels"]]
        return "exactly one of these labels, spelled as here:\n" + "\n".join(lines)

    def schema(self, frozen: Frozen) -> dict[str, Any]:
        return {"type": "string", "enum": [label["label"] for label in frozen["labels"]]}

    def read(self, frozen: Frozen, said: Any, *, swapped: bool) -> JudgeVerdict | NoVerdict:
        if not isinstance(said, str):
            return NoVerdict("invalid_label", f"{said!r:.80} is no label")
        for label in frozen["labels"]:
            if label["label"].strip().casefold() == said.strip().casefold():
                return JudgeVerdict(float(label["passes"]), label["passes"], label["label"])
        return NoVerdict("invalid_label", f"“{said.strip():.80}”")


def _line(label: Frozen) -> str:
    meaning = str(label.get("meaning", "")).strip()
    return f"- {label['label']}: {meaning}" if meaning else f"- {label['label']}"


def _labels_problem(labels: object) -> str:
    if not isinstance(labels, list) or not 2 <= len(labels) <= MOST_LABELS:
        return f"Give 2 to {MOST_LABELS} labels."
    for at, label in enumerate(labels, 1):
        if not isinstance(label, dict) or not isinstance(label.get("passes"), bool):
            return f"Label {at}: say whether it is a pass or a fail."
        name, meaning = label.get("label"), label.get("meaning", "")
        if not isinstance(name, str) or not 1 <= len(name.strip()) <= MAX_LABEL or "\n" in name:
            return f"Label {at}: give it a name of at most {MAX_LABEL} characters on one line."
        if not isinstance(meaning, str) or len(meaning) > MAX_MEANING:
            return f"Label {at}: its meaning is a text of at most {MAX_MEANING} characters."
    if len({label["label"].strip().casefold() for label in labels}) < len(labels):
        return "Two labels have the same name."
    if len({label["passes"] for label in labels}) < 2:
        return "At least one label has to be a pass, and one a fail."
    return ""
