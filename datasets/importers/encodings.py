"""Which encoding a text file is in, and reading it as UTF-8 whatever it is."""

import codecs
from typing import BinaryIO

from charset_normalizer import from_bytes

SAMPLE_BYTES = 1 << 18
DETECTED_BYTES = 1 << 14
READ_BYTES = 1 << 16
MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
OTHER = (b"PK\x03\x04", b"\x1f\x8b", b"%PDF", b"PAR1")  # not text at all
WESTERN = "cp1252"
NEARLY = 0.1
BALTIC = ("cp1257", "iso8859_13", "iso8859_10", "iso8859_4")
BALTIC_LETTERS = b"\xf0\xfe\xd0\xde"  # š and ž in them; where none stands, the text is another one


def encoding_of(file: BinaryIO) -> str:
    """By its byte order mark, else UTF-8 if most lines beyond ASCII are, else by the letters' statistics."""
    file.seek(0)
    start = file.read(SAMPLE_BYTES)
    file.seek(0)
    for mark, name in MARKS:
        if start.startswith(mark):
            return name
    if b"\0" in start or start.startswith(OTHER):
        return "utf-8"
    foreign = [
        line
        for line in start.split(b"\n")[: -1 if len(start) == SAMPLE_BYTES else None]
        if not line.isascii()
    ]
    odd = [line for line in foreign if not _is_utf8(line)]
    if not odd or 2 * len(odd) <= len(foreign):
        return "utf-8"
    return _guessed(b"\n".join(odd)[:DETECTED_BYTES])


def _guessed(sample: bytes) -> str:
    """The likeliest; Western European wins where another is hardly likelier."""
    found = list(from_bytes(sample))
    best = found[0] if found else None
    if best is None or best.encoding == "utf_8":
        return WESTERN
    if best.encoding in BALTIC and not any(byte in BALTIC_LETTERS for byte in sample):
        return WESTERN
    near = any(
        WESTERN in match.could_be_from_charset and match.chaos <= best.chaos + NEARLY for match in found
    )
    return WESTERN if near else codecs.lookup(best.encoding).name


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


class Recoded:
    """Lines of a file in another encoding as UTF-8; a byte that stands for nothing stays as it is."""

    def __init__(self, file: BinaryIO, encoding: str):
        self.file, self.left = file, ""
        self.decoder = codecs.getincrementaldecoder(encoding)(
            "surrogateescape" if not encoding.startswith("utf") else "replace"
        )
        self.ended = False

    def readline(self, limit: int) -> bytes:
        while "\n" not in self.left and len(self.left) < limit and not self.ended:
            chunk = self.file.read(READ_BYTES)
            self.ended = not chunk
            self.left += self.decoder.decode(chunk, final=self.ended)
        cut = self.left.find("\n", 0, limit) + 1 or min(limit, len(self.left))
        line, self.left = self.left[:cut], self.left[cut:]
        return line.encode("utf-8", "surrogateescape")

    def seek(self, offset: int, whence: int = 0) -> int:
        """To the end alone, to give up."""
        self.left, self.ended = "", True
        return self.file.seek(offset, whence)
