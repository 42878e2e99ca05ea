"""What judges may spend outside of runs. The books are kept by an app above this one, which settings name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from registry.models import RegisteredModel


class MonthIsSpent(Exception):
    """The workspace's ceiling for the month leaves no room for a call; the message is for people."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that is about to be made."""

    model: RegisteredModel
    messages: Sequence[Mapping[str, Any]]
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Used:
    """What came of a call, in tokens; None where the endpoint did not tell."""

    input_tokens: int | None = None
    output_tokens: int | None = None


class Purse(Protocol):
    """The books of one workspace's month."""

    def hold(self, wanted: Sequence[Wanted]) -> object:
        """Counts the most that the calls may take. Raises MonthIsSpent, and then counts nothing."""

    def settle(self, held: object, used: Sequence[Used]) -> None:
        """Puts what the calls came to in place of what was held for them, in their order."""


def purse_of(workspace_id: int) -> Purse:
    purse: Purse = import_string(settings.JUDGE_PURSE)(workspace_id)
    return purse
