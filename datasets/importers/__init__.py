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
    (
        ("jsonl", "datasets.importers.jsonl:Jsonl"),
        ("json", "datasets.importers.json:Json"),
        ("csv", "datasets.importers.csv:Csv"),
        ("parquet", "datasets.importers.parquet:Parquet"),
        ("xlsx", "datasets.importers.xlsx:Xlsx"),
        ("zip", "datasets.importers.zip:Zip"),
    ),
)
SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "csv", ".tab": "csv",
    ".parquet": "parquet", ".xlsx": "xlsx", ".zip": "zip",
}  # fmt: skip
START_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it stands in the file; `line` is where it begins."""

    line: int
    values: dict[str, Any]


class Importer(Protocol):
    """A file format. `rows` may be called once per open file; `details` say what was found out about it."""

    title: ClassVar[str]

    def rows(self, file: BinaryIO) -> Iterator[Record | RowProblem]: ...

    def details(self, file: BinaryIO) -> list[str]: ...


class Rows:
    """The rows of an open file, how far they are read, and the files they may name."""

    def __init__(self, file: BinaryIO, importer: Importer):
        self.file, self.importer = file, importer
        self._rows = importer.rows(file)

    def __iter__(self) -> Iterator[Record | RowProblem]:
        return self._rows

    def __next__(self) -> Record | RowProblem:
        return next(self._rows)

    def done(self, size: int) -> int:
        """Bytes read so far of a file of `size`."""
        fraction = getattr(self.importer, "done", None)
        return self.file.tell() if fraction is None else int(fraction * size)

    def asset(self, path: str, limit: int) -> bytes | None:
        """The file under a path that a row names, of at most `limit` bytes; None if there is none."""
        read = getattr(self.importer, "read", None)
        return read(path, limit) if read else None


def format_of(source_name: str, start: bytes = b"") -> str:
    """The format's key, by what the file begins with, else by its ending."""
    known = SUFFIXES.get(PurePath(source_name).suffix.lower())
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"PK\x03\x04"):
        return "xlsx" if known == "xlsx" or b"[Content_Types].xml" in start[:512] else "zip"
    if known in ("jsonl", "json", None) and start:
        return _text_format(known, start.lstrip(b"\xef\xbb\xbf \t\r\n"))
    return known or "csv"


def _text_format(known: str | None, start: bytes) -> str:
    """A file called .json often holds a line an object; a list is one value whatever its name."""
    first = start.partition(b"\n")[0].rstrip()
    if start.startswith(b"[") and known != "jsonl":
        return "json"
    if start.startswith(b"{"):
        whole_lines = first.endswith(b"}") and first != start.rstrip()
        return "jsonl" if known == "jsonl" or whole_lines or (known is None and first != b"{") else "json"
    return known or "csv"


def opened(file: BinaryIO, source_name: str) -> tuple[str, Importer]:
    """The format's key and its reader."""
    start = file.read(START_BYTES)
    file.seek(0)
    key = format_of(source_name, start)
    return key, IMPORTERS[key]()


def rows_of(file: BinaryIO, source_name: str) -> Rows:
    """The rows of an open file in whichever format it is."""
    return Rows(file, opened(file, source_name)[1])
