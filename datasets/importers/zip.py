"""A zip: one or several files of rows, and the images that they name by path."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from io import BufferedReader
from pathlib import PurePosixPath
from shutil import copyfileobj
from typing import BinaryIO, ClassVar, cast
from zipfile import BadZipFile, ZipFile, ZipInfo

from datasets.importers import SUFFIXES, Record, format_of, rows_of
from datasets.importers.archive import BadArchive, opened
from datasets.importers.lines import MAX_ROWS
from datasets.problems import RowProblem

MAX_SEEKABLE_BYTES = 1 << 30
SEEKING = ("parquet", "xlsx")  # formats that are read from their end
NOT_ROWS = ("assets", "images", "__MACOSX")


class Zip:
    title: ClassVar[str] = "zip"

    def __init__(self) -> None:
        self.archive: ZipFile | None = None
        self.folder = PurePosixPath()
        self.done = 0.0  # of the data files, from 0 to 1

    def rows(self, file: BinaryIO) -> Iterator[Record | RowProblem]:
        try:
            if file.read(1):
                self.archive = opened(file)
                yield from self._all()
        except BadArchive as error:
            yield RowProblem(0, "", str(error))
        except (BadZipFile, OSError, EOFError, NotImplementedError) as error:
            yield RowProblem(0, "", f"the zip is damaged: {str(error)[:200]}")

    def details(self, file: BinaryIO) -> list[str]:
        try:
            return [member.filename for member in data_files(opened(file))[:3]]
        except BadArchive:
            return []

    def read(self, path: str, limit: int) -> bytes | None:
        """The member under a path: beside the data file, from the top or in `assets`; or None."""
        if self.archive is None:
            return None
        for place in (self.folder / path, PurePosixPath(path), self.folder / "assets" / path):
            try:
                member = self.archive.getinfo(str(place))
            except KeyError:
                continue
            if member.file_size > limit:
                raise BadArchive(f"larger than {limit // 1_000_000} MB")
            try:
                return self.archive.read(member)
            except (BadZipFile, OSError, EOFError, NotImplementedError) as error:
                raise BadArchive(f"damaged in the zip: {str(error)[:100]}") from error
        return None

    def _all(self) -> Iterator[Record | RowProblem]:
        """Line numbers go on from file to file."""
        assert self.archive is not None
        members = data_files(self.archive)
        if not members:
            raise BadArchive("the zip holds no file of rows (CSV, JSONL, JSON, Parquet or Excel)")
        total, before, lines = sum(member.file_size for member in members) or 1, 0, 0
        for member in members:
            self.folder = PurePosixPath(member.filename).parent
            last = 0
            with self._seekable(member) as inside:
                for row in rows_of(inside, member.filename):
                    last = row.line
                    self.done = min(1.0, (before + inside.tell()) / total)
                    yield _moved(row, lines)
            before, lines = before + member.file_size, lines + last
            if lines > MAX_ROWS:
                raise BadArchive(f"more than {MAX_ROWS:,} rows")

    def _seekable(self, member: ZipInfo) -> BinaryIO:
        assert self.archive is not None
        inside = self.archive.open(member)
        if SUFFIXES.get(PurePosixPath(member.filename).suffix.lower()) not in SEEKING:
            return cast(BinaryIO, BufferedReader(inside, 1 << 18))
        if member.file_size > MAX_SEEKABLE_BYTES:
            raise BadArchive(f"{member.filename} is larger than {MAX_SEEKABLE_BYTES >> 20} MB; send it alone")
        file = tempfile.TemporaryFile()  # noqa: SIM115, closed by the caller
        with inside:
            copyfileobj(inside, file, 1 << 20)
        file.seek(0)
        return cast(BinaryIO, file)


def _moved(row: Record | RowProblem, lines: int) -> Record | RowProblem:
    if not lines:
        return row
    if isinstance(row, Record):
        return Record(row.line + lines, row.values)
    return replace(row, line=row.line + lines if row.line else 0)


def data_files(archive: ZipFile) -> list[ZipInfo]:
    """The files of rows in order of name, all of one format. Raises BadArchive if formats mix."""
    found = sorted(
        (member for member in archive.infolist() if not member.is_dir() and _is_data(member.filename)),
        key=lambda member: member.filename,
    )
    kinds = {format_of(member.filename) for member in found}
    if len(kinds) > 1:
        raise BadArchive(f"the zip mixes files of rows: {', '.join(member.filename for member in found[:4])}")
    return found


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts)
    inside = path.parts and any(part in NOT_ROWS for part in path.parts[:-1])
    return SUFFIXES.get(path.suffix.lower(), "zip") != "zip" and not inside and not hidden
