"""What a judge model is asked, and how its answer is read: the judges' own rules, in the engine's words."""

from collections.abc import Mapping
from typing import Any

from judges.scorers import Verdict

UNREADABLE = "unreadable_verdict"  # the outcome of an attempt, the kind of an error


class Unreadable(ValueError):
    """The answer holds no verdict that counts; the message is for people."""


def read(frozen: Mapping[str, Any], text: str, swapped: bool) -> Verdict:
    """The verdict in a judge model's answer. Raises Unreadable."""
    raise Unreadable("Judges are not there yet.")
