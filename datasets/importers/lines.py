"""Decoded lines of a file with real line numbers, bounded in length."""

import codecs
from typing import BinaryIO

from datasets.importers.encodings import Recoded
from datasets.problems import RowProblem

MAX_LINE_BYTES = 16 << 20  # an image of 10 MB as a data URL fits
MAX_SKIPPED_BYTES = 64 << 20  # a longer line is not read to its end
MAX_ROWS = 2_000_000
MAX_FIELDS = 1000
FOREIGN = {
    codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16", b"PK\x03\x04": "a zip or spreadsheet",
    b"\x1f\x8b": "gzip", b"%PDF": "a PDF", b"PAR1": "Parquet",
}  # fmt: skip


class BadLine(Exception):
    """A line that cannot be read; reading goes on after it."""

    def __init__(self, line: int, reason: str, *, ends: bool = False):
        self.problem = RowProblem(line, "", reason, ends=ends)
        super().__init__(reason)


class Lines:
    """An iterator that survives its own errors: after BadLine the next line can be read.

    `number` is the line last read; `size_limit` is what is left for the present record, which a
    CSV reader refills with `begin_record` since its records may span lines.
    """

    def __init__(self, file: BinaryIO, encoding: str = "utf-8"):
        self.file: BinaryIO | Recoded = file if encoding == "utf-8" else Recoded(file, encoding)
        self.encoding, self.number, self.left = encoding, 0, MAX_LINE_BYTES
        self.given_up = False

    def begin_record(self) -> None:
        self.left = MAX_LINE_BYTES

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        raw = b"" if self.given_up else self.file.readline(self.left + 1)
        if not raw:
            raise StopIteration
        self.number += 1
        if len(raw) > self.left:
            self._skip_rest(raw)
            raise BadLine(self.number, f"longer than {MAX_LINE_BYTES >> 20} MB", ends=self.given_up)
        self.left -= len(raw)
        if self.number == 1:
            raw = self._without_bom(raw)
        if b"\0" in raw:
            raise BadLine(self.number, "holds a NUL character")
        return self._decode(raw)

    def _decode(self, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            byte = f"0x{raw[error.start]:02x}"
            column = error.start + 1
            raise BadLine(
                self.number,
                f"not {self.encoding.upper()}: byte {byte} at column {column:,}; save the file as UTF-8",
            ) from error

    def _without_bom(self, raw: bytes) -> bytes:
        for start, name in FOREIGN.items():
            if raw.startswith(start):
                self.file.seek(0, 2)
                raise BadLine(1, f"the file is {name}, not text in UTF-8")
        return raw.removeprefix(codecs.BOM_UTF8)

    def _skip_rest(self, raw: bytes) -> None:
        skipped = 0
        while raw and not raw.endswith(b"\n"):
            if skipped > MAX_SKIPPED_BYTES:
                self.given_up = True
                return
            raw = self.file.readline(1 << 16)
            skipped += len(raw)
