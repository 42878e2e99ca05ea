"""JSON Lines: one object a line; empty lines are passed over."""

import json
import re
from collections.abc import Iterator
from math import isinf
from typing import Any, BinaryIO, ClassVar

from datasets.importers import Record
from datasets.importers.lines import MAX_FIELDS, MAX_ROWS, BadLine, Lines
from datasets.problems import RowProblem

MAX_DEPTH = 32
# Text that neither database can hold is looked for only where the raw line hints at it.
SUSPICIOUS = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


class Refused(ValueError):
    """Valid JSON that is not accepted; the message says why."""


class Number(float):
    """A decimal number that remembers how it was written, so that its text is exact."""

    text: str

    def __new__(cls, text: str) -> "Number":
        self = super().__new__(cls, text)
        if isinf(self):
            raise Refused("a number is too large")
        self.text = text
        return self


def _constant(name: str) -> float:
    raise Refused(f"{name} is not a JSON value; write null or text")


DECODER = json.JSONDecoder(parse_float=Number, parse_constant=_constant)


def depth_of(value: Any) -> int:
    """How deeply lists and objects are nested, without recursion."""
    level, deepest = [value], 0
    while level:
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        deepest += bool(level)
    return deepest


def storable(text: str) -> bool:
    """Whether both databases can hold it: neither NUL nor half of a surrogate pair is in it.

    Not by a pattern: that takes 70 ms for 10 MB, this 0.3.
    """
    if "\0" in text:
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def unstorable(value: Any) -> bool:
    """Whether some text, keys included, holds NUL or half of a surrogate pair."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, str) and not storable(part):
            return True
        if isinstance(part, dict):
            left += [*part, *part.values()]
        elif isinstance(part, list):
            left += part
    return False


def parse_json(text: str) -> Any:
    """A JSON value within our limits. Raises Refused, or json.JSONDecodeError with the column."""
    try:
        value = DECODER.decode(text)
    except RecursionError as error:
        raise Refused(f"nested more than {MAX_DEPTH} levels deep") from error
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError | Refused):
            raise
        raise Refused("a number has too many digits") from error
    return within_limits(value, text)


def within_limits(value: Any, text: str) -> Any:
    """The value that was parsed from `text`. Raises Refused for depth and for what no database holds."""
    if text.count("[") + text.count("{") > MAX_DEPTH and depth_of(value) > MAX_DEPTH:
        raise Refused(f"nested more than {MAX_DEPTH} levels deep")
    if SUSPICIOUS.search(text) and unstorable(value):
        raise Refused("holds a NUL character or half of a surrogate pair")
    return value


class Jsonl:
    title: ClassVar[str] = "JSON Lines"

    def rows(self, file: BinaryIO) -> Iterator[Record | RowProblem]:
        lines, count = Lines(file), 0
        while True:
            lines.begin_record()
            try:
                text = next(lines)
            except StopIteration:
                return
            except BadLine as bad:
                yield bad.problem
                continue
            if not text.strip():
                continue
            count += 1
            if count > MAX_ROWS:
                yield RowProblem(lines.number, "", f"more than {MAX_ROWS:,} rows", ends=True)
                return
            yield read_line(lines.number, text)

    def details(self, file: BinaryIO) -> list[str]:
        return ["UTF-8"]


def read_line(number: int, text: str) -> Record | RowProblem:
    try:
        value = parse_json(text)
    except json.JSONDecodeError as error:
        return RowProblem(number, "", f"not valid JSON: {error.msg.lower()} at column {error.pos + 1:,}")
    except Refused as error:
        return RowProblem(number, "", str(error))
    if isinstance(value, list):
        column = len(text) - len(text.lstrip()) + 1
        hint = "write one object a line, without the list around them"
        return RowProblem(number, "", f"not an object at column {column}; {hint}")
    return record_of(number, value)


def record_of(number: int, value: Any) -> Record | RowProblem:
    """A row of a parsed value."""
    if not isinstance(value, dict):
        return RowProblem(number, "", "not an object")
    if len(value) > MAX_FIELDS:
        return RowProblem(number, "", f"more than {MAX_FIELDS:,} fields")
    return Record(number, value)
