"""JSON validity, equality and schema: where the JSON is, what differs, and what no schema may do."""

import time
from typing import Any

import pytest

from judges.scorers import BadOptions, Subject, Verdict, build_scorer
from judges.scorers.json_reading import ANYWHERE, FENCED, WHOLE, read_json

DEEP = "[" * 100_000


def scored(key: str, response: str, *references: str, **options: Any) -> Verdict:
    return build_scorer(key, options).score(Subject(response, references))


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ('{"a": 1}', WHOLE, True),
        (' {"a": 1}\n', WHOLE, True),
        ('```json\n{"a": 1}\n```', WHOLE, False),
        ('```json\n{"a": 1}\n```', FENCED, True),
        ('Here:\n```\n{"a": 1}\n```\nDone.', FENCED, True),
        ('~~~\n{"a": 1}\n~~~', FENCED, True),
        ('```json\n{"a": 1}', FENCED, True),
        ('It is {"a": 1}, I think.', FENCED, False),
        ('It is {"a": 1}, I think.', ANYWHERE, True),
        ('Use {braces} like {"a": 1}.', ANYWHERE, True),
        ("no", ANYWHERE, False),
        ("NaN", WHOLE, False),
        ('{"a": Infinity}', WHOLE, False),
        ("{'a': 1}", WHOLE, False),
        ('{"a": 1,}', WHOLE, False),
        (DEEP, ANYWHERE, False),
        ("9" * 5_000, WHOLE, False),
        ("", WHOLE, False),
    ],
)
def test_json_is_found(text: str, where: str, found: bool) -> None:
    read = read_json(text, where=where)
    assert (not read.problem) is found and bool(read.rule) is found


@pytest.mark.parametrize(
    ("response", "options", "passed", "said"),
    [
        ("[1]", {}, True, "the whole response is JSON"),
        ("3", {}, True, "is JSON"),
        ("3", {"kind": "object"}, False, "not the object wanted"),
        ("[1]", {"kind": "list"}, True, "is JSON"),
        ("[1", {}, False, "line 1, column 3"),
        ("```\n[1]\n```", {"where": "whole"}, False, "is not JSON"),
    ],
)
def test_validity(response: str, options: dict[str, Any], passed: bool, said: str) -> None:
    verdict = scored("json_valid", response, **options)
    assert verdict.passed is passed and said in verdict.explanation


@pytest.mark.parametrize(
    ("response", "reference", "options", "passed", "said"),
    [
        ('{"a": 1, "b": [1, 2]}', '{"b":[1,2],"a":1}', {}, True, "equals"),
        ('{"a": 1.0}', '{"a": 1}', {}, True, "equals"),
        ('{"a": true}', '{"a": 1}', {}, False, "at $.a: “true”, not “1”"),
        ('{"a": "1"}', '{"a": 1}', {}, False, "at $.a"),
        ("[2, 1]", "[1, 2]", {}, False, "at $[0]: “2”, not “1”"),
        ("[2, 1]", "[1, 2]", {"ignore_list_order": True}, True, "equals"),
        ("[1, 1, 2]", "[1, 2, 2]", {"ignore_list_order": True}, False, "at $: no “2”"),
        ("[1]", "[1, 2]", {}, False, "at $: 1 items, not 2"),
        ('{"a": {"b": [1, {"c": 3}]}}', '{"a": {"b": [1, {"c": 4}]}}', {}, False, "at $.a.b[1].c"),
        ('{"a": 1, "x": 2}', '{"a": 1}', {}, False, "at $: “x” is not in the reference"),
        ('{"a": 1, "x": 2}', '{"a": 1}', {"ignore_extra_keys": True}, True, "equals"),
        ("{}", '{"a": 1}', {"ignore_extra_keys": True}, False, "“a” is missing"),
        ("1.001", "1", {"tolerance": 0.01}, True, "equals"),
        ("1.1", "1", {"tolerance": 0.01}, False, "at $"),
        ("null", "null", {}, True, "equals"),
        ("null", "false", {}, False, "at $"),
        ("nonsense", "1", {}, False, "is not JSON"),
    ],
)
def test_equality(response: str, reference: str, options: dict[str, Any], passed: bool, said: str) -> None:
    verdict = scored("json_equal", response, reference, **options)
    assert verdict.passed is passed and said in verdict.explanation


def test_a_reference_that_is_no_json_is_unscored_unless_another_is() -> None:
    assert scored("json_equal", "1", "one").unscored_reason.startswith("the reference is not JSON")
    assert scored("json_equal", "1", "one", "1").passed


PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "at": {"format": "date"},
    },
    "additionalProperties": False,
}


class TestSchema:
    @pytest.mark.parametrize(
        ("response", "passed", "said"),
        [
            ('{"name": "Ada", "age": 36}', True, "as the schema wants it"),
            ('```json\n{"name": "Ada"}\n```', True, "its code block"),
            ('{"age": 36}', False, "at $: 'name' is a required property"),
            ('{"name": "Ada", "age": -1}', False, "at $.age: -1 is less than the minimum of 0"),
            ('{"name": "Ada", "x": 1}', False, "'x' was unexpected"),
            ('{"name": "Ada"', False, "is not JSON"),
            ("[]", False, "is not of type 'object'"),
        ],
    )
    def test_validates(self, response: str, passed: bool, said: str) -> None:
        verdict = scored("json_schema", response, schema=PERSON)
        assert verdict.passed is passed and said in verdict.explanation

    def test_formats_are_checked_on_wish(self) -> None:
        response = '{"name": "Ada", "at": "yesterday"}'
        assert scored("json_schema", response, schema=PERSON).passed
        assert not scored("json_schema", response, schema=PERSON, formats=True).passed

    def test_references_inside_the_schema_are_followed(self) -> None:
        schema = {"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}
        assert scored("json_schema", "[1, 2]", schema=schema).passed
        assert not scored("json_schema", '["a"]', schema=schema).passed

    @pytest.mark.parametrize(
        ("schema", "word"),
        [
            ("", "is required"),
            ("{", "not JSON"),
            ("[]", "must be an object"),
            ('{"type": "nonsense"}', "is not a JSON Schema"),
            ('{"$ref": "http://127.0.0.1:1/x.json"}', "must stay inside"),
            ('{"allOf": [{"$ref": "other.json#/a"}]}', "must stay inside"),
            ('{"$dynamicRef": "file:///etc/passwd"}', "must stay inside"),
            ('{"$schema": 3}', "$schema"),
            ('{"a": "' + "x" * 20_000 + '"}', "longer"),
            ('{"not": ' * 1000 + "{}" + "}" * 1000, "nested"),
        ],
    )
    def test_schemas_that_cannot_be_used_are_refused(self, schema: str, word: str) -> None:
        with pytest.raises(BadOptions) as caught:
            build_scorer("json_schema", {"schema": schema})
        assert word in caught.value.problems["schema"]

    @pytest.mark.parametrize(
        ("schema", "response", "reason"),
        [
            ({"pattern": "^(a+)+$"}, '"' + "a" * 5_000 + '!"', "took longer"),
            ({"$ref": "#"}, "1", "nested too deeply"),
            ({"$ref": "#/nowhere"}, "1", "leads nowhere"),
            ({"$id": "http://127.0.0.1:1/base", "$ref": "#/nowhere"}, "1", "leads nowhere"),
        ],
    )
    def test_what_cannot_be_decided_is_unscored_within_the_limit(
        self, schema: dict[str, Any], response: str, reason: str
    ) -> None:
        started = time.monotonic()
        verdict = scored("json_schema", response, schema=schema)
        assert verdict.value is None and reason in verdict.unscored_reason
        assert time.monotonic() - started < 30
        assert scored("json_schema", "1", schema={"type": "integer"}).passed
