"""From records to items: what each use accepts, and what it says when it does not."""

from typing import Any

import pytest

from datasets.drafts import ItemDraft, draft_of
from tests.datasets.files import data_url, mapping_of, png, rows_in


def made(record: dict[str, Any], *pairs: str) -> tuple[ItemDraft, list[str]]:
    draft, problems = draft_of(7, record, mapping_of("q=prompt", *pairs))
    assert all(problem.line == 7 for problem in problems)
    return draft, [f"{problem.field}: {problem.reason}" for problem in problems]


def clean(record: dict[str, Any], *pairs: str) -> ItemDraft:
    draft, problems = made({"q": "?"} | record, *pairs)
    assert problems == []
    return draft


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "q: the line has no such field"),
        ({"q": None}, "q: the prompt is empty"),
        ({"q": "  "}, "q: the prompt is empty"),
        ({"q": ["a"]}, "q: a list where text belongs; use it as chat messages"),
        ({"q": {"a": 1}}, "q: an object where text belongs"),
        ({"q": "x" * 1_000_001}, "q: longer than 1,000,000 characters"),
    ],
)
def test_an_item_needs_a_prompt(record: dict[str, Any], reason: str) -> None:
    assert made(record)[1] == [reason]


def test_numbers_become_text_as_written() -> None:
    (row,) = rows_in(b'{"q": 1.50, "r": [3, 2.0, true], "s": 10}', "x.jsonl")
    draft = clean(row.values, "r=reference", "s=section")
    assert (draft.prompt, draft.references, draft.section) == ("1.50", ["3", "2.0", "true"], "10")


@pytest.mark.parametrize("value", [["a", "b"], '["a", "b"]', "a|b", "a | b", {"A": "a", "B": "b"}])
def test_choices_in_every_form(value: Any) -> None:
    assert clean({"c": value}, "c=choices").choices == ["a", "b"]


def test_choices_from_several_columns_keep_their_order() -> None:
    columns = ["A=choices", "B=choices", "C=choices"]
    assert clean({"A": "x|y", "B": 2, "C": None}, *columns).choices == ["x|y", "2"]
    _, problems = made({"q": "?", "A": "x", "B": None, "C": "z"}, *columns)
    assert problems == ["B: this choice is empty, but a later one is not"]


def test_one_choice_is_none() -> None:
    assert made({"q": "?", "c": "only"}, "c=choices")[1] == [
        "c: only one choice; give a list, JSON text or A|B|C"
    ]


def test_a_reference_that_looks_like_a_list_stays_text() -> None:
    assert clean({"r": "[1, 2]"}, "r=reference").references == ["[1, 2]"]


def test_responses_empty_is_recorded_and_null_is_not() -> None:
    draft = clean(
        {"a": "", "b": None, "d": 3}, "a=response:m1", "b=response:m2", "c=response:m3", "d=response:m4"
    )
    assert draft.responses == {"m1": "", "m4": "3"}
    assert made({"q": "?", "a": ["x"]}, "a=response:m")[1] == ["a: a list where text belongs"]


def test_metadata_is_nested_under_its_path() -> None:
    draft = clean(
        {"a": {"b": 1}, "c.d": [2], "metadata": {"e": 3}}, "a.b=metadata", "c.d=metadata", "metadata=metadata"
    )
    assert draft.metadata == {"a": {"b": 1}, "c": {"d": [2]}, "e": 3}


def test_ids_and_sections_are_trimmed_and_limited() -> None:
    draft = clean({"i": " a ", "s": " b "}, "i=id", "s=section")
    assert (draft.external_id, draft.section) == ("a", "b")
    _, problems = made({"q": "?", "i": "x" * 201, "s": "y" * 121}, "i=id", "s=section")
    assert problems == ["i: longer than 200 characters", "s: longer than 120 characters"]


def chat(value: Any) -> tuple[ItemDraft, list[str]]:
    draft, problems = draft_of(1, {"m": value}, mapping_of("m=messages"))
    return draft, [problem.reason for problem in problems]


def test_chat_messages_and_their_images() -> None:
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": data_url(png())}},
    ]
    draft, problems = chat([{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}])
    assert problems == []
    assert draft.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is it?"},
    ]
    assert draft.prompt == "What is it?"
    assert len(draft.images) == 1


def test_chat_messages_as_json_text() -> None:
    assert chat('[{"role": "user", "content": "hi"}]')[0].prompt == "hi"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no json", "not valid JSON"),
        ({"role": "user"}, "a list of {role, content}"),
        ([{"role": "robot", "content": "x"}], "message 1 needs a role"),
        ([{"role": "user", "content": 5}], "the content of message 1"),
        ([{"role": "system", "content": "x"}], "no message has the role user"),
        ([], "no message has the role user"),
        ([{"role": "user", "content": " "}], "the list of messages is empty"),
        ([{"role": "user", "content": "x"}] * 501, "more than 500 messages"),
    ],
)
def test_chat_messages_are_validated(value: Any, words: str) -> None:
    assert [words in problem for problem in chat(value)[1]] == [True]
