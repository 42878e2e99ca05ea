"""How a person answers in a judge's own terms: the choices, their keys, and an answer as it is read. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from judges.kinds import KINDS
from judges.kinds.base import JudgeVerdict, NoVerdict
from judges.models import JudgeVersion, fields_of

MOST_STEPS = 11  # a range of more whole numbers is typed instead


@dataclass(frozen=True)
class Choice:
    """One button: the answer that it stands for and its key, of those that have one."""

    answer: str
    words: str
    meaning: str = ""
    key: str = ""
    passes: bool | None = None


def choices_of(version: JudgeVersion, swapped: bool = False) -> list[Choice]:
    """In the order of their keys; none where a number is typed. `swapped`: B is shown first."""
    if version.kind == "classify":
        return [
            Choice(label["label"], label["label"], str(label.get("meaning") or ""), _key(at), label["passes"])
            for at, label in enumerate(version.labels, 1)
        ]
    if version.kind == "compare":
        first, second = ("B", "A") if swapped else ("A", "B")
        return [
            Choice(first, "The first is better", key="1"),
            Choice(second, "The second is better", key="2"),
            Choice("tie", "Neither is better", key="3"),
        ]
    return [
        Choice(f"{step:g}", f"{step:g}", key=_key(int(step), 0), passes=_passes(version, step))
        for step in steps_of(version)
    ]


def _key(number: int, first: int = 1) -> str:
    return str(number) if first <= number <= 9 else ""


def _passes(version: JudgeVersion, value: float) -> bool | None:
    return None if version.threshold is None else value >= version.threshold


def steps_of(version: JudgeVersion) -> list[float]:
    """The whole numbers that a judge which scores may give, if they are few."""
    if version.kind != "score" or not version.integer or version.minimum is None or version.maximum is None:
        return []
    steps = range(int(version.minimum), int(version.maximum) + 1)
    return [float(step) for step in steps] if len(steps) <= MOST_STEPS else []


def read_answer(version: JudgeVersion, answer: str) -> JudgeVerdict | None:
    """What the answer means to this version; None where it is none of its answers."""
    return read_by(version.kind, fields_of(version), answer)


def read_by(kind: str, fields: Mapping[str, Any], answer: str) -> JudgeVerdict | None:
    found: JudgeVerdict | NoVerdict = KINDS[kind]().read(fields, answer, swapped=False)
    return found if isinstance(found, JudgeVerdict) else None
