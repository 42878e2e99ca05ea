"""Items leave as JSONL without loss, and as CSV that runs no formula."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.exporters import EXPORTERS
from datasets.models import DatasetVersion
from evalportal.lib.csv_safety import safe_cell
from tests.datasets.conftest import Import
from tests.datasets.files import QUESTIONS, data_url, png


def exported(version: DatasetVersion, key: str) -> str:
    return "".join(EXPORTERS[key]().parts(version))


ROWS: list[dict[str, Any]] = [
    *QUESTIONS,
    {"id": "q4", "question": "Which?", "choices": ["a", "b"], "answer": "B"}
    | {"image": data_url(png()), "extra": {"k": 1.5}},
]


@pytest.mark.parametrize("rows", [ROWS, [{"messages": [{"role": "user", "content": "hi"}], "answer": "yo"}]])
def test_jsonl_imported_again_has_the_same_hash(imported: Import, rows: list[Any]) -> None:
    version = imported(rows).version
    again = imported(exported(version, "jsonl").encode(), dataset_name="Again").version
    assert again.content_hash == version.content_hash


def test_csv_is_a_table_with_a_column_per_model(imported: Import) -> None:
    version = imported(ROWS).version
    rows = list(csv.DictReader(io.StringIO(exported(version, "csv"))))
    assert [row["position"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0]["response: m2"] == "3"
    assert json.loads(rows[2]["reference"]) == ["Athens", "Αθήνα"]
    assert json.loads(rows[3]["metadata"]) == {"extra": {"k": 1.5}}


@pytest.mark.parametrize("key", list(EXPORTERS))
def test_every_format_takes_an_empty_version(key: str, dataset: Any) -> None:
    assert isinstance(exported(dataset(0), key), str)


FORMULAS = [*["=1+1", "+1+1", "-2+3", "@SUM(A1)", " =1", "\t=1", "\r=1", "＝1", "|calc", "%0"], "-", "-5\n"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_formulas_are_neutralised(cell: str, imported: Import) -> None:
    assert safe_cell(cell) == f"'{cell}"
    version = imported([{"question": cell + "x", "answer": cell + "y"}]).version
    (row,) = csv.DictReader(io.StringIO(exported(version, "csv")))
    assert row["prompt"].startswith("'")
    assert row["reference"].startswith("'")
    assert json.loads(exported(version, "jsonl"))["prompt"] == cell + "x"


@pytest.mark.parametrize("cell", ["-5", "+1.5", "-1,234.50", "-3e-7", "text", "a=b", ""])
def test_numbers_and_text_stay_as_they_are(cell: str) -> None:
    assert safe_cell(cell) == cell


@given(st.text(max_size=20))
def test_no_cell_begins_like_a_formula(text: str) -> None:
    cell = safe_cell(text).strip()
    assert not cell or cell[0] not in "=@+-" or float(cell.replace(",", "").rstrip("%")) is not None
