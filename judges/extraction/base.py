"""What every filter shares: one step that finds a piece of a text, and says what it was."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from judges.options import Configurable, OptionsT, option

EDGE_CHOICES = {"last": "The last", "first": "The first"}


class CannotExtract(Exception):
    """The filter could not be carried out, which says nothing about the response; the message says why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a filter found, and what it is, such as “the last number”; no words for mere tidying."""

    text: str
    rule: str = ""


class Filter(Configurable[OptionsT], ABC):
    """Finds one piece of a text. Built once per run; keeps no state between trials."""

    missing: ClassVar[str] = ""  # said where it finds nothing

    @abstractmethod
    def find(self, text: str, choices: Sequence[str]) -> Piece | None:
        """None where there is nothing to find. Never raises but CannotExtract."""


@dataclass(frozen=True, kw_only=True)
class OccurrenceOptions:
    occurrence: str = option("last", help="Which one to take if there are several", choices=EDGE_CHOICES)
