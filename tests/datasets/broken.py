"""A corpus of broken files, each with a word of the message that refuses it."""

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from tests.datasets.files import data_url, jsonl, png

GOOD = b'{"question": "q", "answer": "a"}\n'


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name) if ".." in name else name, data)
    return file.getvalue()


def bomb(name: str, size: int, start: bytes = b"", **more: bytes) -> bytes:
    """A zip whose member unpacks to zeros without end, after `start` in each MB of it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w") as member:
            for _ in range(size >> 20):
                member.write(start + bytes((1 << 20) - len(start)))
        for other, data in more.items():
            archive.writestr(other, data)
    return file.getvalue()


def wide_png(width: int, height: int) -> bytes:
    """Says that it is so large, and is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(1 + width // 8 + 1)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def parquet(table: pa.Table, **values: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **values)
    return file.getvalue()


def parquet_bomb() -> bytes:
    """A dictionary with one text of 10 MB, shown in every row."""
    text = pa.array(["x" * 10_000_000])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), text)
    return parquet(pa.table({"question": column}), compression="zstd")


def sheet_bomb() -> bytes:
    """A workbook whose text refers to others that do the same, a billion times over."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    cell = '<c r="A1" t="inlineStr"><is><t>&l9;</t></is></c>'
    sheet = (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{entities}]>'
        f'<worksheet {space}><sheetData><row r="1">{cell}</row></sheetData></worksheet>'
    )
    book = io.BytesIO()
    made = openpyxl.Workbook()
    made.active.append(["question"])
    made.active.append(["q"])
    made.save(book)
    with zipfile.ZipFile(book) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return zipped(members | {"xl/worksheets/sheet1.xml": sheet.encode()})


def corpus() -> Iterator[tuple[str, bytes, str]]:
    """(name, content, word of the message)."""
    yield "utf16.jsonl", GOOD.decode().encode("utf-16"), "UTF-16"
    yield "latin.jsonl", b'{"question": "caf\xe9"}\n', "not UTF-8"
    yield "latin.json", b'[{"question": "caf\xe9"}]', "not UTF-8"
    yield "rows.jsonl", b"{\n" * 4_000_000, "the first 10,000 rows all have problems"
    yield "rows.csv", b"question,answer\n" + b"a\n" * 4_000_000, "the first 10,000 rows all have problems"
    yield "nul.jsonl", b'{"question": "a\x00b"}\n', "NUL"
    yield "nul.csv", b"question,answer\na\x00b,c\n", "NUL"
    yield "nul.json", b'[{"question": "a\\u0000b"}]', "NUL"
    yield "ragged.csv", b"question,answer\na\n" * 2000, "cells where the header names"
    yield "quote.csv", b'question,answer\n"' + b"a,b\n" * 500_000, "never closed"
    yield "cell.csv", b"question\n" + b"x" * 10_000_000 + b"\n", "longer than 1,000,000 characters"
    yield "cell.jsonl", jsonl([{"question": "x" * 10_000_000}]), "longer than 1,000,000 characters"
    yield "line.jsonl", b'{"question": "' + b"x" * (40 << 20), "longer than 16 MB"
    yield "line.json", b'[{"question": "' + b"x" * (40 << 20), "longer than 16 MB"
    yield "integer.jsonl", b'{"question": ' + b"9" * 1_000_000 + b"}\n", "too many digits"
    yield "integer.json", b'[{"question": ' + b"9" * 1_000_000 + b"}]", "too many digits"
    yield "float.jsonl", b'{"question": 1e999}\n', "too large"
    yield "ids.jsonl", jsonl([{"id": n % 9000, "question": "a"} for n in range(10_000)]), "already on line"
    yield "deep.jsonl", b'{"question": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}\n", "levels deep"
    yield "deep.json", b"[" * 2_000_000, "levels deep"
    yield "cut.json", b'[{"question": "a"}, {"question": "b"', "not valid JSON"
    yield "cut.zip", zipped({"x.jsonl": GOOD * 999})[:-40], "damaged"
    yield "crc.zip", zipped({"x.jsonl": GOOD}, zipfile.ZIP_STORED).replace(b'"q"', b'"r"'), "damaged"
    yield "traversal.zip", zipped({"../../x.jsonl": GOOD}), "leads outside"
    yield "absolute.zip", zipped({"/etc/x.jsonl": GOOD}), "leads outside"
    yield "windows.zip", zipped({"..\\x.jsonl": GOOD}), "leads outside"
    noise = random.Random(1).randbytes(20_000).hex().encode()  # no bomb by its ratio
    yield "endless.zip", bomb("x.jsonl", 400 << 20, noise), "longer than 16 MB"
    yield "bomb.zip", bomb("x.jsonl", 100 << 20), "bomb"
    yield "small-bomb.zip", bomb("x.jsonl", 60 << 20), "longer than 16 MB"
    yield "none.zip", zipped({"read me.txt": b"x"}), "no file of rows"
    yield "mixed.zip", zipped({"a.jsonl": GOOD, "b.csv": b"question\nq\n"}), "mixes"
    yield "nested.zip", zipped({"a.parquet": b"PAR1" + b"\xff" * 500}), "not readable as Parquet"
    yield "cut.parquet", parquet(pa.table({"question": ["q"]}))[:-20], "not readable as Parquet"
    yield "noise.parquet", b"PAR1" + b"\xff" * 5000 + b"PAR1", "not readable as Parquet"
    yield (
        "bomb.parquet",
        parquet(pa.table({"question": ["x" * (1 << 20)] * 80}), use_dictionary=False),
        "longer than 1,000,000 characters",
    )
    yield "dictionary.parquet", parquet_bomb(), "longer than 1,000,000"
    yield "binary.parquet", parquet(pa.table({"question": [b"\xff\xfe"]})), "no image"
    yield "bomb.xlsx", bomb("xl/worksheets/sheet1.xml", 100 << 20, **{"[Content_Types].xml": b""}), "bomb"
    yield "entities.xlsx", sheet_bomb(), "not readable as an Excel workbook"
    yield "noise.xlsx", zipped({"[Content_Types].xml": b"<", "x": b""}), "not readable as an Excel workbook"
    yield "image.jsonl", jsonl([{"question": "q", "image": data_url(wide_png(20_000, 20_000))}]), "pixels"
    yield "torn.jsonl", jsonl([{"question": "q", "image": data_url(png(300, 300)[:-200])}]), "damaged"
    yield "svg.jsonl", jsonl([{"question": "q", "image": data_url(b"<svg/>", "image/svg+xml")}]), "not a PNG"
    yield (
        "html.zip",
        zipped({"x.jsonl": jsonl([{"question": "q", "image": "a.png"}]), "a.png": b"<html>"}),
        "not a PNG",
    )


def write(folder: Path) -> dict[str, str]:
    """The corpus as files; their words by name."""
    words = {}
    for name, data, word in corpus():
        (folder / name).write_bytes(data)
        words[name] = word
    (folder / "words.json").write_text(json.dumps(words))
    return words
