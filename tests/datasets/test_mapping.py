"""Dotted paths, the mapping as JSON, and what is guessed from names and values."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets.importers import rows_of
from datasets.mapping import MISSING, BadMapping, FieldUse, Mapping, guess_mapping, value_at
from tests.conftest import SHARED
from tests.datasets.files import data_url, mapping_of, png


def test_dotted_paths_open_objects_and_lists() -> None:
    record = {"a": {"b": {"c": 1}}, "l": [{"t": "x"}, "y"]}
    assert value_at(record, "a.b.c") == 1
    assert value_at(record, "a.b") == {"c": 1}
    assert value_at(record, "l.0.t") == "x"
    assert value_at(record, "l.1") == "y"
    for absent in ("a.x", "l.7", "l.x", "a.b.c.d", "", "."):
        assert value_at(record, absent) is MISSING


def test_a_key_with_dots_wins() -> None:
    assert value_at({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert value_at({"r": {"gpt-4.1": "x"}}, "r.gpt-4.1") == "x"
    assert value_at({"a.b": {"c.d": 1}}, "a.b.c.d") == 1


patient = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
leaf_values = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
records = st.dictionaries(
    st.text(alphabet="ab.0", min_size=1, max_size=4),
    st.recursive(
        leaf_values, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab."), inner)
    ),
    max_size=4,
)


@patient
@given(records)
def test_every_key_of_a_record_can_be_reached(record: dict[str, Any]) -> None:
    for key, value in record.items():
        assert value_at(record, key) is value


@patient
@given(st.lists(records, max_size=4))
def test_guessing_never_fails_and_gives_each_field_one_use(found: list[dict[str, Any]]) -> None:
    paths = [one.path for one in guess_mapping(found).fields]
    assert len(paths) == len(set(paths))


def test_a_mapping_survives_json() -> None:
    mapping = mapping_of("q=prompt", "a.b=response:gpt", "c=skip")
    assert Mapping.from_json(mapping.to_json()) == mapping
    assert Mapping.from_json(mapping.to_json()["fields"]) == mapping


@pytest.mark.parametrize(
    "bad", [None, {}, {"fields": 1}, [1], [{"path": "a"}], [{"path": "a", "use": "what"}]]
)
def test_what_is_no_mapping_is_refused(bad: Any) -> None:
    with pytest.raises(BadMapping):
        Mapping.from_json(bad)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["a=reference"], "no field is the prompt"),
        (["a=prompt", "b=prompt"], "2 fields are used as prompt"),
        (["a=chat", "b=messages"], "with or without the answer"),
        (["a=prompt", "b=response:m", "c=response:m"], "two responses are of the model m"),
        (["a=prompt", "b=response"], "name the model of b"),
        (["a=prompt", "a=skip"], "a is listed twice"),
    ],
)
def test_a_mapping_says_what_is_wrong_with_it(pairs: list[str], words: str) -> None:
    assert words in " ".join(mapping_of(*pairs).problems())


def uses(record: dict[str, Any], **values: Any) -> dict[str, str]:
    mapping = guess_mapping([record], **values)
    return {one.path: f"{one.use}:{one.model}" if one.model else one.use for one in mapping.fields}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"question": "a", "answer": "b"}, {"question": "prompt", "answer": "reference"}),
        (
            {"instruction": "a", "input": "b", "output": "c"},
            {"instruction": "prompt", "input": "metadata", "output": "reference"},
        ),
        (
            {"prompt": "a", "target": "b", "model_output": "c"},
            {"prompt": "prompt", "target": "reference", "model_output": "response:model_output"},
        ),
        (
            {"question": "a", "choices": {"text": ["x", "y"], "label": ["A"]}, "answerKey": "A", "id": 7},
            {
                "question": "prompt", "choices.text": "choices", "choices.label": "metadata",
                "answerKey": "reference", "id": "id",
            },
        ),
        (
            {"question": "a", "A": "x", "B": "y", "C": "z", "answer": "B", "subject": "maths"},
            {
                "question": "prompt", "A": "choices", "B": "choices", "C": "choices", "answer": "reference",
                "subject": "section",
            },
        ),
        (
            {"query": "a", "response_gpt": "x", "llama response": "y", "expected_output": "z"},
            {
                "query": "prompt", "response_gpt": "response:gpt", "llama response": "response:llama",
                "expected_output": "reference",
            },
        ),
        (
            {"messages": [{"role": "user", "content": "a"}], "ideal": "b"},
            {"messages": "messages", "ideal": "reference"},
        ),
        ({"text": "a", "image": data_url(png())}, {"text": "prompt", "image": "asset"}),
        ({"blah": "a long text without a name that says so", "n": 1}, {"blah": "prompt", "n": "metadata"}),
    ],
)  # fmt: skip
def test_common_shapes_are_guessed(record: dict[str, Any], expected: dict[str, str]) -> None:
    assert uses(record) == expected


def test_query_uploads_leave_responses_out() -> None:
    assert uses({"q": "a", "responses": {"m": "x"}}, with_responses=False)["responses.m"] == "skip"


def test_repeated_ids_are_no_ids() -> None:
    mapping = guess_mapping([{"id": "1", "question": "a"}, {"id": "1", "question": "b"}])
    assert FieldUse("id", "metadata") in mapping.fields


@pytest.mark.shared
def test_gsm8k_is_guessed_right() -> None:
    path = Path(SHARED) / "data" / "gsm8k" / "example_model_solutions.jsonl"
    with path.open("rb") as file:
        found = guess_mapping([row.values for row in islice(rows_of(file, path.name), 20)])
    assert [(one.path, one.use, one.model) for one in found.fields if one.use != "metadata"] == [
        ("question", "prompt", ""),
        ("ground_truth", "reference", ""),
        *(
            (f"{name}.solution", "response", name)
            for name in ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
        ),
    ]
