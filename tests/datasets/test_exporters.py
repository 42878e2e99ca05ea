"""Items leave as JSONL without loss, and as CSV that runs no formula."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.exporters import EXPORTERS
from datasets.mapping import Mapping, mapping_of
from datasets.models import DatasetVersion
from datasets.problems import ImportProblems
from datasets.uploading import SAMPLE_ROWS, samples_of
from evalportal.lib.csv_safety import safe_cell
from evalportal.lib.streaming import chunked
from tests.datasets.conftest import Import
from tests.datasets.files import QUESTIONS, data_url, png


def exported(version: DatasetVersion, key: str) -> str:
    return whole(version, key).decode()


def whole(version: DatasetVersion, key: str) -> bytes:
    return b"".join(chunked(EXPORTERS[key]().parts(version)))


ROWS: list[dict[str, Any]] = [
    *QUESTIONS,
    {"id": "q4", "question": "Which?", "choices": ["a", "b"], "answer": "B"}
    | {"image": data_url(png()), "extra": {"k": 1.5}},
]


CHATS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "hi"}], "references": ["yo"], "tags": ["hard", "to check"]},
    {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "references": []},
    {"prompt": "'quoted", "references": ["'=1+1"], "metadata": {"a.b": 1.10, "context": ["p1", "p2"]}},
    {"prompt": "=formula", "references": ["[1, 2]"], "responses": {"m.1": "", "m2": "'"}, "section": "-x"},
    {"prompt": " 1\r\n2 ", "references": ["a", "b"], "choices": ["", "x|y", "3"]},
]
TOLD: list[dict[str, Any]] = [
    {"prompt": "First?", "id": "t1", "section": "sums", "tags": ["hard", "to check"], "choices": ["1", "2"]}
    | {"references": ["B", "2", "two"], "metadata": {"weight": 2.5, "rubric": [{"points": 1}], "a": {"b": 1}}}
    | {"images": [data_url(png()), data_url(png(5, 6, "blue"))], "responses": {"m.1": "2", "m2": ""}},
    {"id": "t2", "references": ["now"], "images": [data_url(png(7, 7))], "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "When?"},
        {"role": "assistant", "content": "Then."}, {"role": "user", "content": " And \n now?"},
    ]},
    {"messages": [{"role": "developer", "content": "d"}, {"role": "user", "content": "No answer?"}]}
    | {"references": [], "metadata": {"context": ["p"], "rubric": "Is it kind?", "weight": 1}},
    {"prompt": "Neither?", "images": [data_url(png())], "metadata": {"messages": [], "item": {"id": 1}}},
]  # fmt: skip
MIXED = [
    ROWS,
    TOLD,
    CHATS,
    [{"prompt": "p", "responses": {"late": "x"} if n == 400 else {}} for n in range(401)],
]


@pytest.mark.parametrize("key", ["jsonl", "parquet", "zip", "csv", "chat.jsonl"])
@pytest.mark.parametrize("rows", MIXED)
def test_what_was_taken_away_and_imported_again_has_the_same_hash(
    imported: Import, rows: list[Any], key: str
) -> None:
    version = imported(rows, mapping=mapping_of(rows)).version
    again = imported(whole(version, key), name=f"items.{key}", dataset_name="Again").version
    assert again.content_hash == version.content_hash
    assert again.response_models == version.response_models


@pytest.mark.parametrize("key", ["jsonl", "zip", "chat.jsonl"])
def test_fields_that_only_late_items_have_come_back(imported: Import, tmp_path: Path, key: str) -> None:
    """A file's fields are known from its first rows."""
    rows = [*({"prompt": f"p{n}", "references": []} for n in range(SAMPLE_ROWS)), *TOLD]
    version = imported(rows).version
    path = tmp_path / f"late.{key}"
    path.write_bytes(whole(version, key))
    mapping = mapping_of(samples_of(path, path.name))
    again = imported(path.read_bytes(), name=path.name, dataset_name="Again", mapping=mapping).version
    assert again.content_hash == version.content_hash
    assert again.response_models == version.response_models


def test_a_chat_tells_a_trainer_all_and_lies_beside_its_item(imported: Import) -> None:
    version = imported(TOLD, mapping=mapping_of(TOLD)).version
    lines = [json.loads(line) for line in exported(version, "chat.jsonl").splitlines()]
    plain = [json.loads(line) for line in exported(version, "jsonl").splitlines()]
    assert [line["item"] for line in lines] == [
        {name: value for name, value in line.items() if name != "images"} for line in plain
    ]
    asked, answer = lines[0]["messages"]
    assert [part["type"] for part in asked["content"]] == ["text", "image_url", "image_url"]
    assert answer == {"role": "assistant", "content": "B"}
    assert [len(line["messages"]) for line in lines] == [2, 5, 2, 1]
    alone = [json.loads(line) for line in exported(version, "messages.jsonl").splitlines()]
    assert alone == [{"messages": line["messages"]} for line in lines[:2]]


def test_messages_that_were_edited_beside_their_item_are_not_lost(imported: Import) -> None:
    version = imported([{"prompt": "1 + 1?", "references": ["2"], "tags": ["sums"]}]).version
    line = json.loads(exported(version, "chat.jsonl"))
    line["messages"][-1]["content"] = "two"
    with pytest.raises(ImportProblems, match="differs from the item beside it"):
        imported([line], dataset_name="Again")
    with pytest.raises(ImportProblems, match="differs from the item beside it"):
        imported([line | {"messages": None}], dataset_name="Again", mapping=mapping_of([line]))
    with pytest.raises(ImportProblems, match="no such field"):
        imported([{"messages": line["messages"]}], dataset_name="Again", mapping=mapping_of([line]))

    def used(use: str, *left: str) -> str:
        uses = {"messages": use} | {f"item.{name}": "skip" for name in left}
        fields = [replace(one, use=uses.get(one.path, one.use)) for one in mapping_of([line]).fields]
        return imported([line], dataset_name="Again", mapping=Mapping.of(fields)).version.content_hash

    assert used("skip") == version.content_hash
    edited = imported([{"prompt": "1 + 1?", "references": ["two"], "tags": ["sums"]}]).version
    assert used("chat", "prompt", "messages", "references") == edited.content_hash


def test_chats_for_fine_tuning_come_back_as_questions_with_answers(imported: Import) -> None:
    rows = [{"prompt": "1 + 1?", "references": ["2"]}, {"prompt": "2 + 2?", "references": ["4"]}]
    rows.append({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]})  # type: ignore[dict-item]
    rows[-1]["references"] = ["a"]
    version = imported(rows).version
    first = json.loads(exported(version, "messages.jsonl").splitlines()[0])
    assert first == {
        "messages": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]
    }
    again = imported(whole(version, "messages.jsonl"), name="x.jsonl", dataset_name="Again").version
    assert again.content_hash == version.content_hash


def test_an_image_is_once_in_a_zip(imported: Import) -> None:
    version = imported([{"question": str(n), "image": data_url(png())} for n in range(3)]).version
    with ZipFile(io.BytesIO(whole(version, "zip"))) as archive:
        assert len(archive.namelist()) == 2


def test_csv_is_a_table_with_a_column_per_model(imported: Import) -> None:
    version = imported(ROWS).version
    rows = list(csv.DictReader(io.StringIO(exported(version, "csv"))))
    assert [row["position"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0]["response: m2"] == "3"
    assert json.loads(rows[2]["reference"]) == ["Athens", "Αθήνα"]
    assert json.loads(rows[3]["metadata"]) == {"extra": {"k": 1.5}}


@pytest.mark.parametrize("key", list(EXPORTERS))
def test_every_format_takes_an_empty_version(key: str, dataset: Any) -> None:
    assert isinstance(whole(dataset(0), key), bytes)


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
