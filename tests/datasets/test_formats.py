"""Files as the field writes them: recognised by content, read to the same items whatever the format."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from datasets.drafts import ItemDraft, draft_of
from datasets.exporters import EXPORTERS
from datasets.importers import Record, format_of, opened
from datasets.mapping import FieldUse, Mapping, mapping_of, recognise
from datasets.models import Asset, Item
from evalportal.lib.streaming import chunked
from tests.conftest import SHARED
from tests.datasets.conftest import Import
from tests.datasets.files import data_url, jsonl, png, rows_in


def drafts(rows: list[dict[str, Any]], **values: Any) -> list[ItemDraft]:
    mapping = mapping_of(rows, **values)
    assert not mapping.problems(), mapping.problems()
    made = [draft_of(1, row, mapping) for row in rows]
    assert not [problem for _, problems in made for problem in problems]
    return [draft for draft, _ in made]


def title(rows: list[dict[str, Any]]) -> str:
    known = recognise(rows)
    return known.title if known else ""


def test_openai_evals() -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}]
    rows = [{"input": chat, "ideal": ["2", "two"]}, {"input": chat, "ideal": "2"}]
    assert title(rows) == "OpenAI evals"
    first, second = drafts(rows)
    assert (first.prompt, first.messages, first.references) == ("1 + 1?", chat, ["2", "two"])
    assert second.references == ["2"]
    assert drafts([{"input": "1 + 1?", "ideal": "2"}])[0].prompt == "1 + 1?"


def test_openai_chat_takes_the_last_answer_as_the_reference() -> None:
    system, asked = {"role": "system", "content": "s"}, {"role": "user", "content": "q"}
    answer = {"role": "assistant", "content": "a"}
    rows = [{"messages": [system, asked, answer]}, {"messages": [asked, answer]}]
    assert title(rows) == "OpenAI chat"
    first, second = drafts(rows)
    assert (first.messages, first.references) == ([system, asked], ["a"])
    assert (second.prompt, second.messages, second.references) == ("q", None, ["a"])


def test_inspect_samples() -> None:
    rows = [{"input": "Which?", "target": "B", "choices": ["x", "y"], "id": 7, "metadata": {"level": 1}}]
    assert title(rows) == "Inspect samples"
    (one,) = drafts(rows)
    assert (one.prompt, one.references, one.choices) == ("Which?", ["B"], ["x", "y"])
    assert (one.external_id, one.metadata) == ("7", {"level": 1})


def test_evalscope() -> None:
    rows = [{"question": "Which?", "A": "x", "B": "y", "C": "z", "answer": "C", "subject": "s"}]
    assert title(rows) == "EvalScope or MMLU choices"
    (one,) = drafts(rows)
    assert (one.choices, one.references, one.section) == (["x", "y", "z"], ["C"], "s")
    asked = [{"query": "Who?", "response": "Me"}]
    assert title(asked) == "EvalScope questions and answers"
    assert drafts(asked)[0].responses == {"response": "Me"}
    assert drafts(asked, with_responses=False)[0].references == ["Me"]


def test_harness_samples() -> None:
    rows = [
        {
            "doc_id": n,
            "doc": {"question": "1 + 1?", "answer": "#### 2"},
            "target": "#### 2",
            "arguments": {"gen_args_0": {"arg_0": "Question: 1 + 1?\nAnswer:", "arg_1": {"until": ["\n"]}}},
            "resps": [["It is 2."]],
            "filtered_resps": ["2"],
            "exact_match": 1.0,
            "doc_hash": "h",
        }
        for n in range(2)
    ]
    assert title(rows) == "lm-evaluation-harness samples"
    first, _ = drafts(rows)
    assert (first.prompt, first.references) == ("Question: 1 + 1?\nAnswer:", ["#### 2"])
    assert (first.external_id, first.responses) == ("0", {"samples": "It is 2."})
    assert first.metadata["exact_match"] == 1.0
    old = [row | {"arguments": [["Question: 1 + 1?", {"until": []}]]} for row in rows]
    assert drafts(old)[0].prompt == "Question: 1 + 1?"


def test_harness_samples_of_choices() -> None:
    """As of arc_challenge: likelihoods instead of text, the target is the number of a choice."""
    asked = {f"gen_args_{n}": {"arg_0": "Question: Which?\nAnswer:", "arg_1": f" {n}"} for n in range(2)}
    row = {
        "doc_id": 0, "target": 1, "arguments": asked, "resps": [[["-3.1", "False"]], [["-1.1", "True"]]],
        "doc": {"question": "Which?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}}, "acc": 1.0,
    }  # fmt: skip
    (one,) = drafts([row])
    assert (one.prompt, one.choices, one.references, one.responses) == ("Which?", ["x", "y"], ["B"], {})
    (other,) = drafts([row | {"doc": {"query": "Which?", "choices": ["x", "y"]}, "target": "0"}])
    assert (other.prompt, other.choices, other.references) == ("Which?", ["x", "y"], ["A"])
    assert drafts([row | {"target": "7"}])[0].references == ["7"]


def test_choices_with_the_number_of_the_right_one() -> None:
    number = Mapping.of([FieldUse("q", "prompt"), FieldUse("c", "choices"), FieldUse("n", "choice_number")])
    for wrong in ("2", "000099", "-1", "x"):
        _, problems = draft_of(1, {"q": "Which?", "c": ["x", "y"], "n": wrong}, number)
        assert "is no number of one of the 2 choices" in problems[0].reason
    rows = [{"question": "Which?", "choices": ["x", "y"], "answer": 1, "subject": "s"}]
    (one,) = drafts(rows)
    assert (one.references, one.section) == (["B"], "s")
    assert drafts([rows[0] | {"choices": ["0", "1"]}])[0].references == ["1"]


def test_a_table_of_choices_needs_no_header() -> None:
    data = b'"What, then?",1,2,3,4,B\nWhich?,a,b,c,d,D\n'
    first, second = rows_in(data, "anatomy_test.csv")
    assert (first.line, first.values["question"], first.values["B"]) == (1, "What, then?", "2")
    (one, _) = drafts([first.values, second.values])
    assert (one.choices, one.references) == (["1", "2", "3", "4"], ["B"])
    headed = rows_in(b"question,A,B,C,D,answer\nq,1,2,3,4,A\n", "x.csv")
    assert [row.line for row in headed] == [2]
    assert rows_in(b"name,x,y,D\nq,1,2,A\n", "x.csv")[0].line == 2


ROWS = [
    {"question": "1 + 1?", "answer": 2, "topic": "sums"},
    {"question": "Capital of Ελλάδα?", "answer": "Αθήνα", "topic": "words"},
]


def as_csv(mark: str, encoding: str) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(ROWS[0]), delimiter=mark)
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue().encode(encoding)


def as_xlsx() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(list(ROWS[0]))
    for row in ROWS:
        book.active.append(list(row.values()))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def as_zip(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return file.getvalue()


TEXTS = [row | {"answer": str(row["answer"])} for row in ROWS]
FILES = [
    ("x.csv", as_csv(",", "utf-8"), ["comma", "UTF-8"]),
    ("x.csv", as_csv(";", "utf-8-sig"), ["semicolon", "UTF-8"]),
    ("x.tsv", as_csv("\t", "utf-16"), ["tab", "UTF-16"]),
    ("x.csv", as_csv("|", "utf-8"), ["bar", "UTF-8"]),
    ("x.jsonl", jsonl(ROWS), ["UTF-8"]),
    ("x.json", json.dumps(ROWS, indent=2).encode(), ["UTF-8"]),
    ("x.json", json.dumps({"version": 1, "data": ROWS}).encode(), ["UTF-8"]),
    ("x.json", jsonl(ROWS), ["UTF-8"]),
    ("x.xlsx", as_xlsx(), ["first sheet"]),
    ("x.parquet", as_parquet(TEXTS), ["2 rows"]),
    ("x.zip", as_zip(data__rows_dot_jsonl=jsonl(ROWS), MACOSX__x=b""), ["data/rows.jsonl"]),
]


@pytest.mark.parametrize(("name", "data", "details"), FILES)
def test_every_format_gives_the_same_items(name: str, data: bytes, details: list[str]) -> None:
    rows = rows_in(data, name)
    assert all(isinstance(row, Record) for row in rows), rows
    found = drafts([row.values for row in rows])
    expected = drafts(TEXTS)
    assert [draft.digest for draft in found] == [draft.digest for draft in expected]
    key, importer = opened(io.BytesIO(data), name)
    assert importer.details(io.BytesIO(data))[: len(details)] == details
    assert format_of("no ending", data[: 1 << 16]) in (key, "csv", "json", "jsonl", "zip", "xlsx")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "À l'été, où déjà l'hôtel était fermé, l'élève a mangé une pêche près du château."),
        ("cp1253", "Η πρωτεύουσα της Ελλάδας είναι η Αθήνα, και η μεγαλύτερη πόλη μετά είναι η Θεσσαλονίκη."),
        ("shift_jis", "日本の首都は東京です。一番高い山は富士山で、二番目は北岳です。"),
    ],
)
def test_other_encodings_of_csv_are_recognised(encoding: str, text: str) -> None:
    data = f"question,answer\n{text},x\n".replace(text, f'"{text}"').encode(encoding)
    (row,) = rows_in(data, "x.csv")
    assert row.values["question"] == text


def test_json_names_the_line_and_ends_where_it_is_broken() -> None:
    data = b'[\n{"a": 1},\n{"a": 2}\n{"a": 3}\n]'
    *good, last = rows_in(data, "x.json")
    assert [row.line for row in good] == [2, 3]
    assert (last.line, last.ends) == (4, True)
    assert "never closed" in rows_in(b'[{"a": 1},', "x.json")[-1].reason
    assert rows_in(b'[{"a": }]', "x.json")[-1].reason == "not valid JSON: expecting value at column 7"


def test_json_is_read_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.importers.json.CHUNK", 7)
    rows = [{"n": n, "text": 'quote " and \\ and ü' * 9} for n in range(50)]
    found = rows_in(json.dumps(rows, ensure_ascii=False).encode(), "x.json")
    assert [row.values for row in found] == rows


def test_images_by_path_in_a_zip(imported: Import) -> None:
    animation = io.BytesIO()
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue")]
    frames[0].save(animation, "GIF", save_all=True, append_images=frames[1:])
    rows = [
        {"question": "a", "image": "assets/one.png"},
        {"question": "b", "image": ["one.png", "two.gif"]},
        {"question": "c", "image": data_url(png())},
    ]
    data = as_zip(
        items_dot_jsonl=jsonl(rows), assets__one_dot_png=png(), assets__two_dot_gif=animation.getvalue()
    )
    version = imported(
        data, name="x.zip", mapping=mapping_of([{"question": "a", "image": data_url(png())}])
    ).version
    assert version.item_count == 3
    assert Asset.objects.count() == 2
    first, second, third = Item.objects.filter(version=version).order_by("position")
    assert first.assets.get() == third.assets.get()
    still = second.assets.get(width_px=5)
    assert still.media_type == "image/png"


@pytest.mark.parametrize(
    ("value", "words"),
    [("no.png", "no image 'no.png'"), ("https://x/y.png", "not fetched"), ("../../etc/passwd", "no image")],
)
def test_images_that_are_not_there(value: str, words: str) -> None:
    mapping = mapping_of([{"question": "q", "image": data_url(png())}])
    _, (problem,) = draft_of(1, {"question": "q", "image": value}, mapping)
    assert words in problem.reason


def test_context_rubric_weight_and_tags() -> None:
    row = {
        "question": "q",
        "passages": ["one", {"text": "two"}],
        "rubric": "r",
        "weight": "2.5",
        "tags": "A, b",
    }
    uses = {
        "passages": "context",
        "rubric": "rubric",
        "weight": "weight",
        "tags": "tags",
        "question": "prompt",
    }
    mapping = mapping_of([row]).from_json([{"path": path, "use": use} for path, use in uses.items()])
    draft, problems = draft_of(1, row, mapping)
    assert not problems
    assert draft.metadata == {"context": ["one", "two"], "rubric": "r", "weight": 2.5}
    assert draft.tags == "|a|b|"
    _, (problem,) = draft_of(3, row | {"weight": "much"}, mapping)
    assert (problem.line, problem.field) == (3, "weight")


def test_rows_with_problems_can_be_left_out(imported: Import) -> None:
    rows = [{"id": "1", "question": "a"}, {"id": "1", "question": "b"}, {"id": "2", "question": ""}]
    data = jsonl(rows) + b"{broken\n" + jsonl([{"id": "3", "question": "c"}])
    version = imported(data, leave_out=True).version
    assert (version.item_count, version.left_out) == (2, 3)
    same = imported([rows[0], {"id": "3", "question": "c"}], dataset_name="Other").version
    assert same.content_hash == version.content_hash


def test_what_ends_the_reading_cannot_be_left_out(imported: Import) -> None:
    with pytest.raises(Exception, match="a quote is opened and never closed"):
        imported(b'question\na\n"b\nc\n', name="x.csv", leave_out=True)


@pytest.mark.shared
@pytest.mark.parametrize("key", ["jsonl", "csv", "parquet", "zip", "chat.jsonl"])
@pytest.mark.parametrize("name", ["test.jsonl", "example_model_solutions.jsonl"])
def test_gsm8k_goes_round_in_every_format(imported: Import, name: str, key: str) -> None:
    data = (SHARED / "data" / "gsm8k" / name).read_bytes()
    version = imported(data, name=name).version
    assert version.item_count == 1319
    whole = b"".join(chunked(EXPORTERS[key]().parts(version)))
    again = imported(whole, name=f"items.{key}", dataset_name="Again").version
    assert (again.content_hash, again.response_models) == (version.content_hash, version.response_models)


def test_the_reader_of_a_zip_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png())
    data = as_zip(items_dot_jsonl=jsonl([{"question": "q", "image": "../secret.png"}]))
    (row,) = rows_in(data, "x.zip")
    assert isinstance(row, Record)


ASKED, ANSWERED = {"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}
OF_THE_FIELD = {
    "evals.jsonl": jsonl([{"input": [ASKED], "ideal": ["2", "two"]}, {"input": [ASKED], "ideal": "2"}]),
    "chat.jsonl": jsonl(
        [{"messages": [ASKED, ANSWERED, ASKED, ANSWERED]}, {"messages": [ASKED, ANSWERED]}]
    ),
    "inspect.json": json.dumps(
        [{"input": "Which?", "target": "B", "choices": ["x", "y"], "id": 7, "metadata": {"level": [1, {}]}}]
    ).encode(),
    "evalscope.csv": b"question,A,B,C,D,answer\nWhich?,1,2,3,4,C\nWhat?,\"a, b\",b,c,d,A\n",
    "evalscope.jsonl": jsonl([{"query": "Who?", "response": "Me"}]),
    "samples_gsm8k.jsonl": jsonl(
        [{"doc_id": 0, "doc": {"question": "1 + 1?"}, "target": "2", "arguments": [["Q: 1 + 1?", {}]]}
        | {"resps": [["It is 2."]], "filtered_resps": ["2"], "exact_match": 1.50}]
    ),
    "anatomy_test.csv": b'"What, then?",1,2,3,4,B\nWhich?,a,b,c,d,D\n',
    "numbered.parquet": as_parquet([{"question": "Which?", "choices": ["x", "y"], "answer": 1}]),
    "sheet.xlsx": as_xlsx(),
    "table.tsv": as_csv("\t", "utf-16"),
    "images.zip": as_zip(
        items_dot_jsonl=jsonl([{"question": "q", "image": "assets/one.png", "answer": "a"}]),
        assets__one_dot_png=png(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_THE_FIELD)
def test_files_of_the_field_go_round(imported: Import, name: str) -> None:
    version = imported(OF_THE_FIELD[name], name=name).version
    for key in ("jsonl", "parquet", "zip", "chat.jsonl", *(() if name == "images.zip" else ("csv",))):
        taken = b"".join(chunked(EXPORTERS[key]().parts(version)))
        again = imported(taken, name=f"items.{key}", dataset_name="Again").version
        assert again.content_hash == version.content_hash, key


@pytest.mark.shared
def test_gsm8k_goes_round_as_chats(imported: Import) -> None:
    """Questions with one answer each are all that a chat can hold."""
    version = imported((SHARED / "data" / "gsm8k" / "test.jsonl").read_bytes(), name="test.jsonl").version
    chats = b"".join(chunked(EXPORTERS["messages.jsonl"]().parts(version)))
    again = imported(chats, name="chats.jsonl", dataset_name="Again").version
    assert again.content_hash == version.content_hash


@pytest.mark.shared
def test_nested_solutions_are_reached(imported: Import) -> None:
    name = "example_model_solutions.jsonl"
    data = (SHARED / "data" / "gsm8k" / name).read_bytes()
    version = imported(data, name=name).version
    assert "175b_verification" in version.response_models
    first = json.loads(data.splitlines()[0])
    item = Item.objects.filter(version=version).order_by("position")[0]
    assert item.responses["175b_verification"] == first["175b_verification"]["solution"]
