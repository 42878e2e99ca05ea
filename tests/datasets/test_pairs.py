"""Items of two responses, rubrics and weights: read, shown, edited, taken away."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from datasets import services_drafts as services
from datasets.diffs import item_changes
from datasets.drafts import draft_of
from datasets.filters import ItemFilter
from datasets.mapping import mapping_of, recognise
from datasets.models import DatasetVersion, Item
from datasets.problems import ImportProblems
from datasets.selectors import items_of, pair_in
from tests.datasets import files
from tests.datasets.conftest import Import
from tests.datasets.test_exporters import whole
from workspaces.access import Access
from workspaces.models import User

ROWS: list[dict[str, Any]] = [
    {"prompt": "Name a river.", "response_a": "The Rhine.", "response_b": "A river.", "winner": "A"}
    | {"rubric": "Names one.", "weight": 2},
    {"prompt": "Name a town.", "response_a": "", "response_b": "Bonn", "rubric": ["Short", "Real"]},
]
MAPPING = files.mapping_of(
    "prompt=prompt", "response_a=response_a:small", "response_b=response_b:large", "winner=metadata",
    "rubric=rubric", "weight=weight",
)  # fmt: skip


@pytest.fixture
def version(imported: Import) -> DatasetVersion:
    return imported(ROWS, mapping=MAPPING).version


def test_two_columns_become_a_pair(version: DatasetVersion) -> None:
    first, second = version.items.all()
    assert first.pair == [("A", "small", "The Rhine."), ("B", "large", "A river.")]
    assert second.pair == [("A", "small", ""), ("B", "large", "Bonn")]
    assert (first.rubric, first.weight, second.weight) == ("Names one.", 2, 1)
    assert second.metadata["rubric"] == ["Short", "Real"]
    assert (version.response_models, pair_in(version)) == (["small", "large"], ["small", "large"])
    assert first.plain_metadata == {"winner": "A"}


@pytest.mark.parametrize("key", ["jsonl", "csv", "parquet", "zip"])
def test_pairs_rubrics_and_weights_come_back(imported: Import, version: DatasetVersion, key: str) -> None:
    again = imported(whole(version, key), name=f"items.{key}", dataset_name="Again").version
    assert again.content_hash == version.content_hash
    assert [item.pair for item in again.items.all()] == [item.pair for item in version.items.all()]


def test_pairs_are_recognised() -> None:
    known = recognise([row | {"model_a": "x", "model_b": "y"} for row in ROWS])
    assert known and known.title == "pairs of responses"
    assert [(one.use, one.model) for one in known.mapping.pair] == [("response_a", "x"), ("response_b", "y")]
    preferred = mapping_of([{"prompt": "p", "chosen": "a", "rejected": "b"}])
    assert [one.model for one in preferred.pair] == ["chosen", "rejected"]
    assert not mapping_of([{"prompt": "p", "chosen": "a", "rejected": "b"}], with_responses=False).models


def test_fields_beside_the_question_are_guessed() -> None:
    row = {"question": "q", "answer": "a", "tags": ["x"], "context": "p", "rubric": "r", "weight": "0.5"}
    uses = {one.path: one.use for one in mapping_of([row, row]).fields}
    assert uses == {
        "question": "prompt", "answer": "reference", "tags": "tags", "context": "context",
        "rubric": "rubric", "weight": "weight",
    }  # fmt: skip
    heavy = {one.path: one.use for one in mapping_of([row | {"weight": "70 kg"}]).fields}
    assert heavy["weight"] == "metadata"


def test_every_field_that_changes_is_told() -> None:
    before = Item(metadata={"context": ["p"], "pair": ["a", "b"], "n": 1}, responses={"a": "", "b": ""})
    after = Item(metadata={"context": ["q"], "pair": ["b", "a"], "n": 1}, responses={"a": "", "b": ""})
    assert [change.label for change in item_changes(before, after)] == ["Context", "Pair"]


def test_a_pair_needs_both(imported: Import) -> None:
    alone = files.mapping_of("prompt=prompt", "response_a=response_a:x")
    assert alone.problems() == ["a pair needs one field as response A and one as response B"]
    _, problems = draft_of(3, {"prompt": "p", "response_a": "x", "response_b": None}, MAPPING)
    assert [str(one) for one in problems] == ["line 3, response_b: the pair lacks its response B"]
    with pytest.raises(ImportProblems, match="the weight 'much' is no number"):
        imported([ROWS[0] | {"weight": "much"}], mapping=MAPPING)


def test_an_empty_rubric_or_weight_is_none(imported: Import) -> None:
    mapping = files.mapping_of("q=prompt", "r=rubric", "w=weight")
    (item,) = imported(b"q,r,w\nWhy?,,\n", name="x.csv", mapping=mapping).version.items.all()
    assert (item.metadata, item.weight, item.weight_text) == ({}, 1, "")


def test_kinds_of_items_are_found(version: DatasetVersion, dataset: Callable[..., DatasetVersion]) -> None:
    for kind, found in {"pair": [1, 2], "weight": [1], "rubric": [1, 2], "choice": []}.items():
        wanted = ItemFilter.of({"kind": kind})
        assert [item.position for item in items_of(version, wanted)] == found, kind
    choices = {"choices": ["x", "y", "z"]}
    other = dataset([{"references": ["A"], **choices}, {"references": ["A", "B"], **choices}])
    for kind, found in {"choice": [1], "choices": [2]}.items():
        assert [item.position for item in items_of(other, ItemFilter.of({"kind": kind}))] == found, kind


def test_metadata_that_only_looks_like_a_pair_is_none() -> None:
    for pair in (["a"], ["a", 1], "ab", {"a": 1}, ["a", "b"], None):
        assert Item(metadata={"pair": pair}, responses={"a": "x"}).pair == []
    assert Item(metadata={"weight": True}).weight == Item(metadata={"weight": "3"}).weight == 1
    assert {Item(metadata={"weight": held}).weight for held in (10**400, 1e300, float("nan"), -1)} == {1}


def test_rubric_and_weight_are_edited_in_a_draft(editing: Access, version: DatasetVersion) -> None:
    draft = services.draft_start(editing, version)
    services.draft_edit(editing, draft, 1, {"rubric": "", "weight": "0.5"})
    services.draft_edit(editing, draft, 2, {"rubric": '["Real"]', "weight": ""})
    for wrong in ("0", "-1", "much", "nan"):
        with pytest.raises(ValidationError):
            services.draft_edit(editing, draft, 1, {"weight": wrong})
    made = services.draft_publish(editing, draft)
    assert made
    first, second = made.items.all()
    assert first.metadata == {"winner": "A", "pair": ["small", "large"], "weight": 0.5}
    assert second.metadata == {"rubric": ["Real"], "pair": ["small", "large"]}


def test_pages_show_them(client_of: Callable[[User], Client], editor: User, version: DatasetVersion) -> None:
    url, client = f"/w/alpha/datasets/{version.dataset_id}/", client_of(editor)
    page = client.get(f"{url}?item=1").content.decode()
    assert page.count("The Rhine.") == 1 and "A river." in page and "Compare the pairs" in page
    assert "Names one." in page and "Weight <b>2</b>" in page
    card = client.get(f"{url}card/").content.decode()
    assert "Pairs of responses" in card and "The first pair" in card
    begun = client.post(f"{url}edit/", {"version": 1, "item": 1})
    form = client.get(begun["Location"]).content.decode()
    assert 'name="weight" value="2"' in form and "The Rhine." in form
    client.post(f"{url}draft/items/1/", {"rubric": "Names a long one.", "weight": "3"})
    diff = client.get(f"{url}diff/?to=draft").content.decode()
    assert "Rubric, before" in diff and "Weight, after" in diff and "Metadata" not in diff
