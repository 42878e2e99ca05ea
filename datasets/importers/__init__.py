"""File formats: streaming readers that yield a Record per row, or a RowProblem; one file each.

A reader takes a binary file and never holds more than one row. Limits here are per row and file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, BinaryIO, ClassVar, Protocol

from datasets.problems import RowProblem
from evalportal.lib.plugins import PluginTable

IMPORTERS = PluginTable(
    "file format",
    (("jsonl", "datasets.importers.jsonl:Jsonl"), ("csv", "datasets.importers.csv:Csv")),
)
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv"}


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it stands in the file; `line` is where it begins."""

    line: int
    values: dict[str, Any]


class Importer(Protocol):
    """A file format. `rows` may be called once per open file."""

    title: ClassVar[str]

    def rows(self, file: BinaryIO) -> Iterator[Record | RowProblem]: ...


def format_of(source_name: str, start: bytes = b"") -> str:
    """The format's key, by the file's ending, else by its first character."""
    known = SUFFIXES.get(PurePath(source_name).suffix.lower())
    return known or ("jsonl" if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")) else "csv")


def rows_of(file: BinaryIO, source_name: str) -> Iterator[Record | RowProblem]:
    """The rows of an open file in whichever format it is."""
    start = file.read(64)
    file.seek(0)
    importer: Importer = IMPORTERS[format_of(source_name, start)]()
    return importer.rows(file)
