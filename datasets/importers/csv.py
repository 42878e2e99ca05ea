"""CSV with a header: comma, semicolon or tab; quoted cells may span lines. An empty cell is no value."""

import csv
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar

from datasets.importers import Record
from datasets.importers.lines import MAX_FIELDS, MAX_LINE_BYTES, MAX_ROWS, BadLine, Lines
from datasets.problems import RowProblem

csv.field_size_limit(MAX_LINE_BYTES)  # per process; the csv module has no other way


class Csv:
    title: ClassVar[str] = "CSV"

    def rows(self, file: BinaryIO) -> Iterator[Record | RowProblem]:
        lines = Lines(file)
        cells = read_cells(lines, csv.reader(lines, strict=True, delimiter=delimiter_of(file)))
        header: list[str] | None = None
        count = 0
        for number, row in cells:
            if isinstance(row, RowProblem):
                yield row
                if header is None:
                    return
            elif header is None:
                header = [name.strip() for name in row]
                problem = header_problem(number, header)
                if problem:
                    yield problem
                    return
            else:
                count += 1
                if count > MAX_ROWS:
                    yield RowProblem(number, "", f"more than {MAX_ROWS:,} rows")
                    return
                yield as_record(number, header, row)


def read_cells(lines: Lines, reader: Any) -> Iterator[tuple[int, list[str] | RowProblem]]:
    """Rows with the line on which they begin; empty lines are passed over."""
    while True:
        lines.begin_record()
        start = lines.number + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except BadLine as bad:
            yield start, bad.problem
            continue
        except csv.Error as error:
            yield start, RowProblem(start, "", explain(str(error), lines.number))
            continue
        if row:
            yield start, row


def explain(error: str, line: int) -> str:
    if "unexpected end of data" in error:
        return "a quote is opened and never closed"
    if "expected after" in error:
        return f"text after a closing quote (line {line:,}); double the quotes inside a quoted cell"
    if "field larger" in error:
        return f"a cell is longer than {MAX_LINE_BYTES >> 20} MB; is a quote never closed?"
    if "new-line character" in error:
        return "line ends are a lone carriage return; save with \\n or \\r\\n"
    return error


def delimiter_of(file: BinaryIO) -> str:
    """The commonest of comma, semicolon and tab in the first line."""
    start = file.readline(1 << 16)
    file.seek(0)
    counts = {mark: start.count(mark.encode()) for mark in ",;\t"}
    return max(counts, key=lambda mark: counts[mark])


def header_problem(line: int, header: list[str]) -> RowProblem | None:
    if len(header) > MAX_FIELDS:
        return RowProblem(line, "", f"more than {MAX_FIELDS:,} columns")
    if "" in header:
        return RowProblem(
            line, "", f"column {header.index('') + 1} has no name; the first line names the columns"
        )
    twice = next((name for name in header if header.count(name) > 1), None)
    return RowProblem(line, twice, "two columns have this name") if twice else None


def as_record(line: int, header: list[str], row: list[str]) -> Record | RowProblem:
    if len(row) != len(header):
        return RowProblem(line, "", f"{len(row):,} cells where the header names {len(header):,} columns")
    return Record(line, {name: cell or None for name, cell in zip(header, row, strict=True)})
