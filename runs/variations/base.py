"""What every strategy of variation shares: an item's content, and which items it can vary."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from django.db.models import Q

from judges.options import BadOptions, Configurable, OptionsT, option

MOST = 10  # variants of one strategy

__all__ = ["MOST", "BadOptions", "Content", "Strategy", "option", "replace"]


@dataclass(frozen=True, slots=True)
class Content:
    """What is asked about an item, and what its response is compared with.

    `first_index` is what the first choice has where references are numbers; `paraphrases` are the approved
    ones by number, of strategies that read them.
    """

    prompt: str
    messages: list[dict[str, Any]] | None
    choices: Sequence[str]
    references: Sequence[str]
    first_index: int = 0
    paraphrases: Mapping[int, str] = field(default_factory=dict)


class Strategy(Configurable[OptionsT], ABC):
    """Makes variants of an item. Built once per run, used for every trial: keep no state between trials."""

    reads_paraphrases: ClassVar[bool] = False
    none_applies: ClassVar[str] = "No item can be varied so."

    @property
    @abstractmethod
    def titles(self) -> Sequence[str]:
        """One short name for each of its variants, in order."""

    def applies(self, number: int) -> Q:
        """Which items have a variant of that number, from 1."""
        return Q()

    def problems(self, template: str, sample: Sequence[Content]) -> list[str]:
        """Why it could not vary what is launched, from the run's template and the version's first items."""
        return []

    def template(self, template: str, number: int) -> str:
        """What that variant puts the item in, where the run's own is `template`."""
        return template

    @abstractmethod
    def applied(self, content: Content, number: int) -> Content:
        """The item's variant of that number; the same for the same content, always."""


def counted(options: Any) -> Mapping[str, str]:
    """For `check`: the bounds of an option `count`."""
    return {} if 1 <= options.count <= MOST else {"count": f"from 1 to {MOST}"}
