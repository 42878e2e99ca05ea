"""JSON: a list of objects, streamed; or an object that holds one such list."""

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar

from datasets.importers import Record
from datasets.importers.jsonl import DECODER, MAX_DEPTH, Refused, parse_json, record_of, within_limits
from datasets.importers.lines import MAX_LINE_BYTES, MAX_ROWS
from datasets.problems import RowProblem

CHUNK = 1 << 18
SPACE = " \t\r\n"
NEAR = 64  # an error so close to the end of the window may be its cut


class Json:
    title: ClassVar[str] = "JSON"

    def rows(self, file: BinaryIO) -> Iterator[Record | RowProblem]:
        start = file.read(64).lstrip(b"\xef\xbb\xbf" + SPACE.encode())
        file.seek(0)
        if not start:
            return
        yield from _listed(file) if start.startswith(b"[") else _inside(file)

    def details(self, file: BinaryIO) -> list[str]:
        return ["UTF-8"]


class Text:
    """A file's text, of which a window is held; knows the line of its place."""

    def __init__(self, file: BinaryIO):
        self.file, self.decoder = file, codecs.getincrementaldecoder("utf-8-sig")()
        self.held, self.at, self.line = "", 0, 1
        self.ended = False

    def more(self) -> bool:
        """Reads on, by a window at least; False at the end. Raises UnicodeDecodeError."""
        rest = self.held[self.at :]
        chunk = self.file.read(max(CHUNK, len(rest)))
        self.ended = not chunk
        self.held, self.at = rest + self.decoder.decode(chunk, final=self.ended), 0
        return not self.ended

    def skip(self, characters: str) -> str:
        """The next character that is none of these, or nothing at the end."""
        while True:
            begin = self.at
            while self.at < len(self.held) and self.held[self.at] in characters:
                self.at += 1
            self.line += self.held.count("\n", begin, self.at)
            if self.at < len(self.held):
                return self.held[self.at]
            if not self.more():
                return ""

    def take(self, end: int) -> str:
        taken, self.at = self.held[self.at : end], end
        self.line += taken.count("\n")
        return taken


def _listed(file: BinaryIO) -> Iterator[Record | RowProblem]:
    """Each element on its own; after one that is broken nothing more can be read."""
    text, count = Text(file), 0
    try:
        text.skip(SPACE)
        text.at += 1
        while (first := text.skip(SPACE)) not in ("]", ""):
            count += 1
            if count > MAX_ROWS:
                yield RowProblem(text.line, "", f"more than {MAX_ROWS:,} rows", ends=True)
                return
            line = text.line
            yield record_of(line, _element(text))
            if (first := text.skip(SPACE)) == ",":
                text.at += 1
            elif first not in ("]", ""):
                yield RowProblem(text.line, "", "not valid JSON: a comma or ] is missing here", ends=True)
                return
        if first == "":
            yield RowProblem(text.line, "", "the list is never closed; is the file cut off?", ends=True)
        else:
            text.at += 1
            if text.skip(SPACE):
                yield RowProblem(text.line, "", "text after the end of the list", ends=True)
    except UnicodeDecodeError as error:
        yield RowProblem(
            text.line, "", f"not UTF-8: byte 0x{error.object[error.start]:02x} after this line", ends=True
        )
    except json.JSONDecodeError as error:
        line = text.line + error.lineno - 1
        yield RowProblem(
            line, "", f"not valid JSON: {error.msg.lower()} at column {error.colno:,}", ends=True
        )
    except Refused as refused:
        yield RowProblem(text.line, "", str(refused), ends=True)


def _element(text: Text) -> Any:
    """The value that begins here. Raises json.JSONDecodeError or Refused."""
    while True:
        try:
            value, end = DECODER.raw_decode(text.held, text.at)
            if end < len(text.held) or text.ended:
                return within_limits(value, text.take(end))
        except RecursionError:
            raise Refused(f"nested more than {MAX_DEPTH} levels deep") from None
        except json.JSONDecodeError as error:
            near_end = error.pos > len(text.held) - NEAR or "Unterminated" in error.msg
            if text.ended or not near_end:
                raise json.JSONDecodeError(error.msg, text.held[text.at :], error.pos - text.at) from error
        except Refused:
            raise
        except ValueError as error:
            raise Refused("a number has too many digits") from error
        if len(text.held) - text.at > MAX_LINE_BYTES:
            raise Refused(f"an element is longer than {MAX_LINE_BYTES >> 20} MB")
        text.more()


def _inside(file: BinaryIO) -> Iterator[Record | RowProblem]:
    """The rows of an object that is small enough to be read whole."""
    raw = file.read(MAX_LINE_BYTES + 1)
    if len(raw) > MAX_LINE_BYTES:
        yield RowProblem(
            0, "", f"an object larger than {MAX_LINE_BYTES >> 20} MB; write a list, or JSON Lines"
        )
        return
    try:
        value = parse_json(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        yield RowProblem(line, "", f"not UTF-8: byte 0x{raw[error.start]:02x}; save the file as UTF-8")
        return
    except json.JSONDecodeError as error:
        yield RowProblem(error.lineno, "", f"not valid JSON: {error.msg.lower()} at column {error.colno:,}")
        return
    except Refused as refused:
        yield RowProblem(1, "", str(refused))
        return
    lists = [part for part in value.values() if _is_rows(part)] if isinstance(value, dict) else []
    if len(lists) == 1:
        yield from (record_of(number, row) for number, row in enumerate(lists[0], start=1))
    elif lists:
        yield RowProblem(0, "", "the object holds several lists of rows; write one list, or JSON Lines")
    else:
        yield record_of(1, value)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)
