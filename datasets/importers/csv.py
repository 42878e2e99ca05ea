"""CSV: comma, semicolon, tab or bar; quoted cells may span lines; any encoding. An empty cell is no value."""

import csv
import re
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from typing import Any, BinaryIO, ClassVar

from datasets.importers import Record
from datasets.importers.encodings import encoding_of
from datasets.importers.lines import MAX_FIELDS, MAX_LINE_BYTES, MAX_ROWS, BadLine, Lines
from datasets.importers.tables import is_ours, restored
from datasets.problems import RowProblem

csv.field_size_limit(MAX_LINE_BYTES)  # per process; the csv module has no other way
MARKS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
LOOKED_AT = 20  # rows that tell whether there is a header
LETTER = re.compile(r"[A-J]")


class Csv:
    title: ClassVar[str] = "CSV"

    def rows(self, file: BinaryIO) -> Iterator[Record | RowProblem]:
        encoding = encoding_of(file)
        mark = delimiter_of(file, encoding)
        header = unnamed_columns(file, encoding, mark)
        lines, count, ours = Lines(file, encoding), 0, False
        for number, row in read_cells(lines, csv.reader(lines, strict=True, delimiter=mark)):
            if isinstance(row, RowProblem):
                yield row
                if header is None:
                    return
            elif header is None:
                header = [name.strip() for name in row]
                ours = is_ours(header)
                problem = header_problem(number, header)
                if problem:
                    yield problem
                    return
            else:
                count += 1
                if count > MAX_ROWS:
                    yield RowProblem(number, "", f"more than {MAX_ROWS:,} rows", ends=True)
                    return
                record = as_record(number, header, row)
                if ours and isinstance(record, Record):
                    record = Record(number, restored(record.values))
                yield record

    def details(self, file: BinaryIO) -> list[str]:
        """`["semicolon", "cp1252", "no header"]`: what was found out about the file."""
        encoding = encoding_of(file)
        mark = delimiter_of(file, encoding)
        bare = ["no header"] if unnamed_columns(file, encoding, mark) else []
        return [MARKS[mark], encoding.upper(), *bare]


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
            unclosed = "unexpected end of data" in str(error)
            yield start, RowProblem(start, "", explain(str(error), lines.number), ends=unclosed)
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


def delimiter_of(file: BinaryIO, encoding: str = "utf-8") -> str:
    """The commonest of the marks outside quotes in the first line."""
    file.seek(0)
    start = file.read(1 << 16).decode(encoding, "replace")
    file.seek(0)
    bare = re.sub(r'"(?:[^"]|"")*"', "", start).lstrip("\ufeff\r\n").partition("\n")[0]
    counts = {mark: bare.count(mark) for mark in MARKS}
    return max(counts, key=lambda mark: counts[mark])


def unnamed_columns(file: BinaryIO, encoding: str, mark: str) -> list[str] | None:
    """Names for a table of choices without a header: question, A, B, …, and a letter as answer."""
    file.seek(0)
    start = file.read(1 << 16).decode(encoding, "replace").lstrip("\ufeff")
    file.seek(0)
    try:
        whole = start if len(start) < 1 << 15 else start[: start.rfind("\n") + 1]
        rows = [row for row in islice(csv.reader(StringIO(whole), delimiter=mark), LOOKED_AT) if row]
    except csv.Error:
        return None
    width = len(rows[0]) if rows else 0
    letters = "ABCDEFGHIJ"[: max(0, width - 2)]
    answers = [row[-1].strip() for row in rows if len(row) == width]
    fits = width >= 4 and len(answers) == len(rows) and all(answer in tuple(letters) for answer in answers)
    if not fits or rows[0][1:-1] == list(letters[: width - 2]) or LETTER.fullmatch(rows[0][0].strip()):
        return None
    return ["question", *letters, "answer"]


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
