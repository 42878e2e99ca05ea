"""Rows, real line numbers and limits of the file formats."""

import json
from io import BytesIO

import pytest

from datasets.importers import IMPORTERS, Record, format_of, jsonl, lines
from datasets.problems import RowProblem
from tests.datasets.files import rows_in


def reasons(data: bytes, name: str) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in rows_in(data, name) if isinstance(row, RowProblem)]


@pytest.mark.parametrize("key", list(IMPORTERS))
def test_every_format_survives_nothing_and_noise(key: str) -> None:
    importer = IMPORTERS[key]()
    assert list(importer.rows(BytesIO(b""))) == []
    for noise in (b"\xff" * 100, b"\0" * 100, b'"' * 101, b"[" * 5000, b"\n" * 50):
        assert not [row for row in importer.rows(BytesIO(noise)) if isinstance(row, Record) and row.values]


def test_format_is_told_by_ending_then_by_content() -> None:
    assert format_of("a.CSV") == format_of("b.tsv") == "csv"
    assert format_of("a.ndjson") == format_of("noending", b' {"a": 1}') == "jsonl"
    assert format_of("noending", b"a,b") == "csv"


def test_jsonl_counts_empty_lines_and_takes_a_byte_order_mark() -> None:
    rows = rows_in(b'\xef\xbb\xbf{"a": 1}\r\n\n{"a": "\xc3\xa9"}', "x.jsonl")
    assert rows == [Record(1, {"a": 1}), Record(3, {"a": "é"})]


def test_jsonl_names_line_and_column() -> None:
    found = reasons(b'{"a": 1}\n{"a": }\n  [1]\n"text"\n{"a": NaN}\n', "x.jsonl")
    assert [line for line, _ in found] == [2, 3, 4, 5]
    assert "at column 7" in found[0][1]
    assert "not an object at column 3; write one object a line" in found[1][1]
    assert "NaN" in found[3][1]


@pytest.mark.parametrize(
    "bomb",
    [
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"a": ' + b'{"a": ' * 50_000 + b"1" + b"}" * 50_001,
    ],
)
def test_deep_nesting_is_one_problem_of_one_line(bomb: bytes) -> None:
    found = rows_in(bomb + b'\n{"a": 1}\n', "x.jsonl")
    assert found == [
        RowProblem(1, "", f"nested more than {jsonl.MAX_DEPTH} levels deep"),
        Record(2, {"a": 1}),
    ]


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv"])
def test_a_giant_line_is_passed_over(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1 << 20)
    start = b"a\n" if name == "x.csv" else b""
    line = b"b\n" if name == "x.csv" else b'{"a": "b"}\n'
    rows = rows_in(start + b"x" * (3 << 20) + b"\n" + line, name)
    assert "longer than" in rows[0].reason
    assert rows[1].values == {"a": "b"}


@pytest.mark.parametrize("value", ["9" * 5000, "1e999", '"\\u0000"', '"\\ud800"', '{"\\u0000": 1}'])
def test_values_that_no_database_holds_are_refused(value: str) -> None:
    assert len(reasons(f'{{"a": {value}}}\n'.encode(), "x.jsonl")) == 1


def test_an_escaped_backslash_before_u0000_is_text() -> None:
    (row,) = rows_in(b'{"a": "\\\\u0000 \\ud83d\\ude00"}', "x.jsonl")
    assert row.values == {"a": "\\u0000 😀"}


def test_decimals_keep_how_they_were_written() -> None:
    (row,) = rows_in(b'{"a": 1.10, "b": 12345678901234567890.123}', "x.jsonl")
    assert (row.values["a"].text, row.values["b"].text) == ("1.10", "12345678901234567890.123")
    assert json.dumps(row.values["a"]) == "1.1"


def test_other_encodings_are_named_with_their_line() -> None:
    found = reasons(b'{"a": 1}\n{"a": 2}\n' + b"caf\xe9\n", "x.jsonl")
    assert found == [(3, "not UTF-8: byte 0xe9 at column 4; save the file as UTF-8")]


@pytest.mark.parametrize(
    ("start", "name"),
    [("x".encode("utf-16"), "UTF-16"), (b"PK\x03\x04", "zip"), (b"\x1f\x8b", "gzip"), (b"PAR1", "Parquet")],
)
def test_a_file_that_is_no_text_is_one_problem(start: bytes, name: str) -> None:
    found = reasons(start + b"\n\xff\n\xff\n", "x.jsonl")
    assert len(found) == 1
    assert name in found[0][1]


def test_csv_lines_are_real_when_cells_span_them() -> None:
    rows = rows_in(b'a,b\r\n"one\r\ntwo",2\r\n\r\nthree,4\r\n', "x.csv")
    assert rows == [Record(2, {"a": "one\r\ntwo", "b": "2"}), Record(5, {"a": "three", "b": "4"})]


def test_csv_empty_cells_are_no_value() -> None:
    assert rows_in(b"a,b\n,x\n", "x.csv") == [Record(2, {"a": None, "b": "x"})]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_csv_delimiters(mark: str) -> None:
    data = f"a{mark}b\n1{mark}2\n".encode()
    assert rows_in(data, "x.csv") == [Record(2, {"a": "1", "b": "2"})]


def test_csv_faults_name_their_line_and_reading_goes_on() -> None:
    found = rows_in(b'a,b\n1\n1,2,3\n"x"y,2\n3,4\n"never closed\n', "x.csv")
    assert [row.line for row in found] == [2, 3, 4, 5, 6]
    assert found[0].reason == "1 cells where the header names 2 columns"
    assert "after a closing quote" in found[2].reason
    assert found[3].values == {"a": "3", "b": "4"}
    assert found[4].reason == "a quote is opened and never closed"


@pytest.mark.parametrize("header", [b"a,a", b"a,", b",".join(b"c%d" % n for n in range(1001))])
def test_csv_header_must_name_each_column_once(header: bytes) -> None:
    (found,) = rows_in(header + b"\n1,2\n", "x.csv")
    assert found.line == 1


def test_rows_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("jsonl", "csv"):
        monkeypatch.setattr(f"datasets.importers.{module}.MAX_ROWS", 2)
    assert reasons(b'{"a":1}\n' * 9, "x.jsonl") == [(3, "more than 2 rows")]
    assert reasons(b"a\n" * 9, "x.csv") == [(4, "more than 2 rows")]


def test_fields_are_limited() -> None:
    wide = json.dumps({f"f{n}": n for n in range(1001)}).encode()
    assert reasons(wide, "x.jsonl") == [(1, "more than 1,000 fields")]
