"""CSV that a spreadsheet opens without running anything: a quote in front of formulas."""

import csv
import re
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Any

# What Excel, LibreOffice and Sheets take for the beginning of a formula, also in full width.
FORMULA = re.compile(r"^[\s\x00]*[=+\-@＝＋－＠|%]|^[\t\r\n]")
PLAIN_NUMBER = re.compile(r"[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)(\.[0-9]+)?([eE][+-]?[0-9]+)?%?")


def safe_cell(value: Any) -> str:
    """The value as text; a quote in front where it could be run. Plain numbers stay as they are."""
    text = "" if value is None else str(value)
    return f"'{text}" if FORMULA.match(text) and not PLAIN_NUMBER.fullmatch(text) else text


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """One piece of text per row, every cell made safe."""
    buffer = StringIO()
    writer = csv.writer(buffer)
    for row in rows:
        writer.writerow([safe_cell(cell) for cell in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
