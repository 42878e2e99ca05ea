"""Filters: what each finds, how a chain is written, and how a scorer shows what was extracted."""

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from judges.extraction import FILTERS, build_chain, canonical_chain
from judges.options import option_fields, read_options
from judges.scorers import BadOptions, Subject, build_scorer

NEEDED: dict[str, dict[str, Any]] = {"regex": {"pattern": "a(b)?"}}
FENCED = 'Here:\n```python\nprint(1)\n```\nand\n```json\n{"a": {"b": [1, "two"]}}\n```\nDone.'


def found(key: str, text: str, choices: tuple[str, ...] = (), **options: Any) -> str | None:
    kind = FILTERS[key]
    piece = kind(read_options(kind, {**NEEDED.get(key, {}), **options})).find(text, choices)
    return piece.text if piece else None


@pytest.mark.parametrize("key", list(FILTERS))
class TestEveryFilter:
    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        text=st.text(st.characters(codec=None), max_size=200) | st.sampled_from([FENCED, "\\boxed{", "[[["])
    )
    def test_never_raises(self, key: str, text: str) -> None:
        assert isinstance(found(key, text, ("x", "y")), str | None)

    def test_describes_itself(self, key: str) -> None:
        kind = FILTERS[key]
        assert kind.key == key and kind.title and kind.description.endswith(".")
        assert kind.missing or found(key, "") is not None
        assert all(field.help for field in option_fields(kind))

    def test_huge_text_is_quick(self, key: str) -> None:
        for piece in ("\\boxed{{", "```\n", "{[", "1,", "Answer:", "A\n", "</think>"):
            started = time.process_time()
            found(key, piece * (1_000_000 // len(piece)))
            assert time.process_time() - started < 5, piece


@pytest.mark.parametrize(
    ("key", "options", "text", "expected"),
    [
        ("strip", {}, " a \n", "a"),
        ("strip", {"characters": "*."}, "**a.**", "a"),
        ("lower", {}, "ÀB", "àb"),
        ("first_line", {}, "\n a \nb", "a"),
        ("first_line", {}, " \n", None),
        ("last_line", {}, "a\n b \n\n", "b"),
        ("after_marker", {}, "Answer: 1\nANSWER: 2\nok", "2\nok"),
        ("after_marker", {"to_line_end": True}, "Answer: 1\nANSWER: 2\nok", "2"),
        ("after_marker", {"occurrence": "first", "to_line_end": True}, "Answer: 1\nANSWER: 2", "1"),
        ("after_marker", {"ignore_case": False}, "ANSWER: 2", None),
        ("after_marker", {"marker": "####"}, "so\n#### 18", "18"),
        ("after_marker", {}, "İİ Answer: 7", "7"),
        ("after_reasoning", {}, "<think>no, 3</think>\n\n4", "4"),
        ("after_reasoning", {}, "no tags: 4", "no tags: 4"),
        ("after_reasoning", {}, "<think>still at it", None),
        ("after_reasoning", {"start": "[", "end": "]"}, "[hm] 4", "4"),
        ("code_fence", {}, FENCED, '{"a": {"b": [1, "two"]}}'),
        ("code_fence", {"occurrence": "first"}, FENCED, "print(1)"),
        ("code_fence", {"language": "python"}, FENCED, "print(1)"),
        ("code_fence", {"language": "rust"}, FENCED, None),
        ("code_fence", {}, "````\n```\nx\n```\n````", "```\nx\n```"),
        ("code_fence", {}, "```\ncut", "cut"),
        ("boxed", {}, r"so \boxed{\frac{1}{2}} ", r"\frac{1}{2}"),
        ("boxed", {}, r"\boxed{1} then \boxed {2}", "2"),
        ("boxed", {}, r"\boxed{1} then \boxed{2", "1"),
        ("boxed", {}, r"\boxed{\{1\}}", r"\{1\}"),
        ("boxed", {}, "none", None),
        ("last_number", {}, "first 3, then $65,000.", "65000"),
        ("last_number", {"plain": False}, "first 3, then $65,000.", "$65,000"),
        ("last_number", {}, "50%", "50%"),
        ("last_number", {}, "18.50", "18.5"),
        ("last_number", {}, "100", "100"),
        ("last_number", {}, "1e-40", "1E-40"),
        ("last_number", {}, "none", None),
        ("choice_letter", {}, "The answer is (B).", "B"),
        ("choice_letter", {}, "It is y.", "B"),
        ("choice_letter", {"read_text": False}, "It is y.", None),
        ("regex", {"pattern": "A: (.*)"}, "A: 1\nA: 2", "2"),
        ("regex", {"pattern": "A: (.*)", "occurrence": "first"}, "A: 1\nA: 2", "1"),
        ("regex", {"pattern": "(x)|(y)"}, "y", "y"),
        ("regex", {"pattern": "(x)|(y)", "group": "1"}, "y", ""),
        ("regex", {"pattern": "(?P<n>[0-9]+)", "group": "n"}, "y 7", "7"),
        ("regex", {"pattern": "[0-9]+"}, "y 7", "7"),
        ("regex", {"pattern": "[0-9]+"}, "y", None),
        ("json_path", {"path": "$.a.b[1]"}, FENCED, "two"),
        ("json_path", {"path": "a.b[-2]"}, FENCED, "1"),
        ("json_path", {"path": "$['a'][\"b\"]"}, FENCED, '[1, "two"]'),
        ("json_path", {}, "x", None),
        ("json_path", {"path": "$.a.c"}, FENCED, None),
        ("json_path", {"path": "$.a[0]"}, FENCED, None),
        ("json_path", {"path": "$.answer"}, 'I say {"answer": true}!', "true"),
    ],
)  # fmt: skip
def test_finds(key: str, options: dict[str, Any], text: str, expected: str | None) -> None:
    assert found(key, text, ("x", "y"), **options) == expected


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("", ""),
        ([], ""),
        ("last_number", '[{"filter": "last_number"}]'),
        (" last_line | last_number ", '[{"filter": "last_line"}, {"filter": "last_number"}]'),
        ('[{"filter": "strip"}]', '[{"filter": "strip"}]'),
        ([{"filter": "after_marker", "marker": "A:"}], '[{"filter": "after_marker", "marker": "A:"}]'),
        ({"filter": "strip"}, '[{"filter": "strip"}]'),
        (["strip", "lower"], '[{"filter": "strip"}, {"filter": "lower"}]'),
    ],
)
def test_a_chain_may_be_written_in_several_ways(written: Any, canonical: str) -> None:
    assert canonical_chain(written) == canonical_chain(canonical_chain(written)) == canonical


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("last_nmber", "filter 1: no filter named 'last_nmber'; did you mean last_number or last_line?"),
        ("strip | ", "filter 2: no filter named ''"),
        ("[{]", "is not JSON"),
        ("[3]", "filter 1 must be an object"),
        (3, "must be a list of filters"),
        ('[{"filter": "strip", "chars": "x"}]', "filter 1, strip: chars: no such option; did you mean char"),
        ('[{"filter": "strip"}, {"filter": "regex", "pattern": "("}]', "filter 2, regex: pattern: is not"),
        ('[{"filter": "regex"}]', "pattern: is required"),
        ('[{"filter": "regex", "pattern": "(a)", "group": "2"}]', "the pattern has 1 groups"),
        ('[{"filter": "json_path", "path": "$..a"}]', "is not a path"),
        ('[{"filter": "after_marker", "marker": " "}]', "is required"),
        ("|".join(["strip"] * 11), "more than 10 filters"),
        ("x" * 6_000, "longer than"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_chain_is_named(written: Any, said: str) -> None:
    with pytest.raises(BadOptions) as caught:
        build_scorer("exact_match", {"extract": written})
    assert said in caught.value.problems["extract"]


def test_the_explanation_says_what_was_found_and_where() -> None:
    scorer = build_scorer("exact_match", {"extract": "last_number"})
    verdict = scorer.score(Subject("It was 20,000 and is now $65,000.", ["65000"]))
    assert (verdict.passed, verdict.answer) == (True, "65000")
    assert verdict.explanation == "65000, from the last number; equals “65000” after normalising"


def test_later_filters_come_first_in_the_words() -> None:
    chain = [{"filter": "after_marker", "marker": "Answer:"}, {"filter": "strip"}, {"filter": "last_number"}]
    verdict = build_scorer("exact_match", {"extract": chain}).score(Subject("Answer: 2 or 3", ["3"]))
    assert verdict.explanation.startswith("3, from the last number of the text after “Answer:”; equals")


def test_nothing_found_is_wrong_and_says_where_it_was_missed() -> None:
    scorer = build_scorer("exact_match", {"extract": "last_line | last_number"})
    verdict = scorer.score(Subject("3\nnothing", ["3"]))
    assert (verdict.value, verdict.passed, verdict.answer) == (0.0, False, "")
    assert verdict.explanation == "no number was found in the last line"


def test_a_missing_reference_stays_unscored_and_an_empty_response_wrong() -> None:
    scorer = build_scorer("exact_match", {"extract": "last_number"})
    assert scorer.score(Subject("nothing")).unscored_reason == "the item has no reference"
    assert scorer.score(Subject(" ", ["3"])).explanation == "the response is empty"


def test_a_slow_pattern_is_unscored() -> None:
    scorer = build_scorer("exact_match", {"extract": [{"filter": "regex", "pattern": "(a+)+$"}]})
    assert scorer.blocks and "longer than" in scorer.score(Subject("a" * 5_000 + "!", ["x"])).unscored_reason


def test_the_stored_options_build_the_same_scorer_again() -> None:
    first = build_scorer("numeric", {"extract": "last_line", "percent": "no"})
    again = build_scorer("numeric", {"extract": first.options.extract, "percent": first.options.percent})
    assert again.options == first.options and again.key == "numeric" and again.title == "Numeric"
    subject = Subject("7\n50%", ["0.5"])
    assert again.score(subject) == first.score(subject)
    assert build_chain(first.options.extract) is build_chain(first.options.extract)


def test_reading_choices_goes_through_the_chain() -> None:
    scorer = build_scorer("multiple_choice", {"extract": "after_reasoning"})
    verdict = scorer.score(Subject("<think>Answer: A?</think> Answer: B", ["B"], ["x", "y"]))
    assert (
        verdict.passed
        and verdict.answer == "B"
        and "from the text after the reasoning" in verdict.explanation
    )
