"""What every kind of judge shares."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

Frozen = Mapping[str, Any]  # of `judges.models.frozen`


class Kind(ABC):
    """Reads only the fields of a frozen judge that are its own."""

    title: ClassVar[str]
    summary: ClassVar[str]
    names: ClassVar[frozenset[str]]  # what its templates may use of the responses

    @abstractmethod
    def problems(self, fields: Frozen) -> dict[str, str]:
        """What is wrong with a judge of this kind: field → message."""
