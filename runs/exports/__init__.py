"""Taking a run away as a file. Each export is a stream of bytes in bounded memory, listed in EXPORTS."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from evalportal.lib.plugins import PluginTable
from runs.models import Run

EXPORTS = PluginTable(
    "export",
    (
        ("jsonl", "runs.exports.tables:JSONL"),
        ("csv", "runs.exports.tables:CSV"),
        ("variations", "runs.exports.spread:SPREAD"),
        ("attempts", "runs.exports.attempts:ATTEMPTS"),
        ("zip", "runs.exports.archive:ZIP"),
    ),
)


class Stream(Protocol):
    """Writes a run; a stream that breaks off raises, so that no cut file looks complete."""

    def __call__(self, run: Run) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class Export:
    """A kind of file: its ending, its media type, and what writes it."""

    suffix: str
    media_type: str
    stream: Stream

    def filename(self, run: Run) -> str:
        return f"run-{run.pk}.{self.suffix}"
