"""XLSX: the first sheet with anything in it; its first row names the columns. Values, never formulas."""

import warnings
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO, ClassVar
from zipfile import BadZipFile

from openpyxl import DEFUSEDXML, load_workbook

from datasets.importers import Record
from datasets.importers.archive import BadArchive, opened
from datasets.importers.csv import header_problem
from datasets.importers.jsonl import storable
from datasets.importers.lines import MAX_FIELDS, MAX_ROWS
from datasets.problems import RowProblem

MAX_TEXTS_BYTES = 48 << 20  # openpyxl holds the table of texts in memory
MAX_SHEET_BYTES = 1 << 30
MAX_EMPTY_ROWS = 10_000


class Xlsx:
    title: ClassVar[str] = "Excel"

    def rows(self, file: BinaryIO) -> Iterator[Record | RowProblem]:
        try:
            if not file.read(1):
                return
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _check(file)
                yield from _rows(file)
        except BadArchive as error:
            yield RowProblem(0, "", str(error))
        except (BadZipFile, OSError, KeyError, ValueError, SyntaxError, TypeError, AttributeError) as error:
            yield RowProblem(
                0, "", f"not readable as an Excel workbook: {str(error)[:200] or type(error).__name__}"
            )

    def details(self, file: BinaryIO) -> list[str]:
        return ["first sheet"]


def _check(file: BinaryIO) -> None:
    """Raises BadArchive."""
    if not DEFUSEDXML:
        raise BadArchive("the portal lacks defusedxml, without which it reads no workbooks")
    with opened(file) as archive:
        for member in archive.infolist():
            limit = MAX_TEXTS_BYTES if member.filename.endswith("sharedStrings.xml") else MAX_SHEET_BYTES
            if member.file_size > limit:
                raise BadArchive(f"{member.filename} is larger than {limit >> 20} MB; save the sheet as CSV")


def _rows(file: BinaryIO) -> Iterator[Record | RowProblem]:
    file.seek(0)
    with closing(load_workbook(file, read_only=True, data_only=True, keep_links=False)) as book:
        for sheet in book.worksheets:
            sheet.reset_dimensions()
            found = False
            for row in _sheet_rows(sheet):
                found = True
                yield row
            if found:
                return


def _sheet_rows(sheet: Any) -> Iterator[Record | RowProblem]:
    header: list[str] | None = None
    empty = 0
    for number, cells in enumerate(sheet.iter_rows(values_only=True, max_col=MAX_FIELDS + 1), start=1):
        if number > MAX_ROWS:
            yield RowProblem(number, "", f"more than {MAX_ROWS:,} rows", ends=True)
            return
        if not any(cell is not None for cell in cells):
            empty += 1
            if empty > MAX_EMPTY_ROWS:
                return
            continue
        empty = 0
        if header is None:
            header = _header(cells)
            problem = header_problem(number, header)
            if problem:
                yield problem
                return
        else:
            yield _record(number, header, cells)


def _header(cells: tuple[Any, ...]) -> list[str]:
    names = ["" if cell is None else str(cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def _record(number: int, header: list[str], cells: tuple[Any, ...]) -> Record | RowProblem:
    if any(cell is not None for cell in cells[len(header) :]):
        return RowProblem(number, "", f"a cell beyond the {len(header):,} columns that the first row names")
    values = {}
    for place, name in enumerate(header):
        value = _plain(cells[place]) if place < len(cells) else None
        if isinstance(value, str) and not storable(value):
            return RowProblem(number, name, "holds a NUL character")
        values[name] = value
    return Record(number, values)


def _plain(value: Any) -> Any:
    """Dates as ISO 8601; a whole number without the point that spreadsheets give it."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value if value != "" else None
