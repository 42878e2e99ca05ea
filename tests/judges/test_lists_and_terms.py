"""Set match, list equality, several right choices, terms, beginnings and lengths."""

from typing import Any

import pytest

from judges.scorers import BadOptions, Subject, Verdict, build_scorer
from judges.scorers.item_lists import read_items


def scored(key: str, response: str, *references: str, **options: Any) -> Verdict:
    return build_scorer(key, options).score(Subject(response, references))


@pytest.mark.parametrize(
    ("text", "items", "rule"),
    [
        ('["a", "b"]', ["a", "b"], "JSON"),
        ('```json\n["a", "b"]\n```', ["a", "b"], "JSON"),
        ("[1, 2.5]", ["1", "2.5"], "JSON"),
        ("- red\n- blue", ["red", "blue"], "bullet"),
        ("Here they are:\n1. red\n2) blue\n", ["red", "blue"], "bullet"),
        ("red\nblue", ["red", "blue"], "line"),
        ("red, blue and green.", ["red", "blue", "green"], "commas"),
        ("red, blue, and green", ["red", "blue", "green"], "commas"),
        ("**red**; `blue`", ["red", "blue"], "commas"),
        ("red", ["red"], "commas"),
        ("", [], "commas"),
    ],
)
def test_items_are_told_apart(text: str, items: list[str], rule: str) -> None:
    found = read_items(text)
    assert found.items == items and rule in found.rule


def test_a_chosen_separator_is_obeyed() -> None:
    assert read_items("a, b; c", "comma").items == ["a", "b; c"]
    assert read_items("a, b; c", "semicolon").items == ["a, b", "c"]
    assert read_items("a, b\n1. c", "line").items == ["a, b", "c"]


@pytest.mark.parametrize(
    ("response", "references", "options", "value"),
    [
        ("Blue, the red", ["red", "blue"], {}, 1.0),
        ("blue and red", ["red, blue"], {}, 1.0),
        ("blue, red, red", ["red, blue"], {}, 1.0),
        ("blue", ["red", "blue"], {}, 0.0),
        ("blue, green", ["red", "blue"], {"measure": "f1"}, 0.5),
        ("blue", ["red", "blue"], {"measure": "precision"}, 1.0),
        ("blue", ["red", "blue"], {"measure": "recall"}, 0.5),
        ("blue, green", ["red", "blue"], {"measure": "jaccard"}, 1 / 3),
        ("?", ["!"], {}, 0.0),
    ],
)
def test_set_match(response: str, references: list[str], options: dict[str, Any], value: float) -> None:
    assert scored("set_match", response, *references, **options).value == pytest.approx(value)


def test_set_match_says_what_is_missing_and_what_is_too_much() -> None:
    explanation = scored("set_match", "blue, green", "red", "blue").explanation
    assert "lacks “red”" in explanation and "has besides “green”" in explanation


@pytest.mark.parametrize(
    ("response", "references", "options", "passed"),
    [
        ("a, b, c", ["a, b, c"], {}, True),
        ('["A", "b"]', ["a; b"], {}, True),
        ("b, a", ["a, b"], {}, False),
        ("b, a", ["a, b"], {"order": "unordered"}, True),
        ("b, a, a", ["a, b"], {"order": "unordered"}, False),
        ("b, a, a", ["a, b"], {"order": "set"}, True),
        ("A, b", ["a, b"], {"ignore_case": False}, False),
        ("a, b", ["x", "a, b"], {}, True),
        ("a", ["a, b"], {}, False),
    ],
)
def test_list_equal(response: str, references: list[str], options: dict[str, Any], passed: bool) -> None:
    assert scored("list_equal", response, *references, **options).passed is passed


def test_list_equal_names_the_first_difference() -> None:
    assert "item 2 is “x”, not “b”" in scored("list_equal", "a, x", "a, b").explanation
    assert "the reference has 2" in scored("list_equal", "a", "a, b").explanation


class TestMultipleAnswers:
    CHOICES = ("Berlin", "Paris", "Rome", "New York")

    def scored(self, response: str, *references: str, **options: Any) -> Verdict:
        return build_scorer("multiple_answers", options).score(Subject(response, references, self.CHOICES))

    @pytest.mark.parametrize(
        "response",
        [
            "A, C", "A and C", "AC", "(A), (C)", "[A, C]", "**A** & **C**", "a, c", "C, A", "A C", "A; C.",
            "Answer: A, C", "The answers are A and C.", "Answers: AC", r"So \boxed{A, C}.", "#### A, C",
            "Berlin, Rome", "Berlin and Rome are in Europe's middle", "A) Berlin\nC) Rome",
            "- (A) Berlin\n- (C) Rome",
            "Answer: Berlin and Rome", "First B.\nAnswer: A and C", '["A", "C"]',
        ],
    )  # fmt: skip
    def test_reads_both(self, response: str) -> None:
        for references in (("A", "C"), ("A, C",), ("AC",), ("Berlin", "Rome"), ("0", "2"), ("Berlin, Rome",)):
            verdict = self.scored(response, *references)
            assert (verdict.passed, verdict.answer) == (True, "A, C"), (references, verdict)

    @pytest.mark.parametrize(
        ("response", "answer"),
        [("A", "A"), ("A, B", "A, B"), ("A, E", ""), ("nothing", ""), ("Paris", "B"), ("a dog", "")],
    )
    def test_reads_others_too(self, response: str, answer: str) -> None:
        verdict = self.scored(response, "A", "C")
        assert (verdict.passed, verdict.answer) == (False, answer)

    @pytest.mark.parametrize(
        ("measure", "response", "value"),
        [
            ("exact", "A", 0.0), ("f1", "A", 2 / 3), ("jaccard", "A", 0.5), ("no_wrong", "A", 0.5),
            ("f1", "A, B", 0.5), ("jaccard", "A, B", 1 / 3), ("no_wrong", "A, B", 0.0), ("f1", "A, C", 1.0),
        ],
    )  # fmt: skip
    def test_measures(self, measure: str, response: str, value: float) -> None:
        assert self.scored(response, "A", "C", measure=measure).value == pytest.approx(value)

    def test_reference_that_is_no_choice_is_unscored(self) -> None:
        assert "none of the choices" in self.scored("A", "A", "Vienna").unscored_reason

    def test_says_which_rule_found_what(self) -> None:
        assert (
            self.scored("AC", "A", "B").explanation
            == "A, C (the whole response is its letters): right is A, B"
        )


@pytest.mark.parametrize(
    ("response", "references", "options", "passed", "said"),
    [
        ("Refund in 30 days", [], {"terms": "refund | 30 days"}, True, "has “refund”, “30 days”"),
        ("Refund soon", [], {"terms": "refund | 30 days"}, False, "has “refund”; lacks “30 days”"),
        ("Refund soon", [], {"terms": ["refund", "30 days"], "need": "any"}, True, "has “refund”"),
        ("Nothing", [], {"terms": "refund | 30 days", "need": "any"}, False, "lacks"),
        ("Nothing", [], {"terms": "refund | 30 days", "need": "none"}, True, "lacks"),
        ("A refund", [], {"terms": "refund", "need": "none"}, False, "has “refund”"),
        ("A refund", [], {"terms": "Refund", "ignore_case": False}, False, "lacks"),
        ("concatenate", [], {"terms": "cat", "whole_words": True}, False, "lacks"),
        ("red and blue", ["red", "blue"], {}, True, "has “red”, “blue”"),
        ("red", ["red", "blue"], {}, False, "lacks “blue”"),
    ],
)
def test_contains(
    response: str, references: list[str], options: dict[str, Any], passed: bool, said: str
) -> None:
    verdict = scored("contains", response, *references, **options)
    assert verdict.passed is passed and said in verdict.explanation


def test_contains_with_terms_needs_no_reference_and_without_them_does() -> None:
    assert scored("contains", "red", terms="red").passed
    assert scored("contains", "red").unscored_reason == "the item has no reference"
    with pytest.raises(BadOptions, match="bar"):
        build_scorer("contains", {"terms": ["a|b"]})


@pytest.mark.parametrize(
    ("response", "references", "options", "passed"),
    [
        ("Yes, it is", ["yes"], {}, True),
        ("  **Yes**", ["yes"], {}, False),
        ("No", ["yes"], {}, False),
        ("No way", [], {"texts": "Yes | No"}, True),
        ("Nothing", [], {"texts": "No"}, True),
        ("Nothing", [], {"texts": "No", "whole_words": True}, False),
        ("No!", [], {"texts": "No", "whole_words": True}, True),
        ("yes", ["Yes"], {"ignore_case": False}, False),
        ("New\n  York is big", ["new york"], {}, True),
    ],
)
def test_starts_with(response: str, references: list[str], options: dict[str, Any], passed: bool) -> None:
    assert scored("starts_with", response, *references, **options).passed is passed


@pytest.mark.parametrize(
    ("response", "options", "passed", "answer"),
    [
        ("one two three", {"most": 3}, True, "3 words"),
        ("one two three four", {"most": 3}, False, "4 words"),
        ("one", {"least": 2}, False, "1 words"),
        (" abc \n", {"unit": "characters", "most": 3}, True, "3 characters"),
        ("a\n\nb", {"unit": "lines", "least": 2, "most": 2}, True, "2 lines"),
        ("one", {}, True, "1 words"),
    ],
)
def test_length(response: str, options: dict[str, Any], passed: bool, answer: str) -> None:
    verdict = scored("length", response, **options)
    assert (verdict.passed, verdict.answer) == (passed, answer)


def test_impossible_lengths_are_refused() -> None:
    with pytest.raises(BadOptions) as caught:
        build_scorer("length", {"least": 5, "most": 3})
    assert "least" in caught.value.problems["most"]
    with pytest.raises(BadOptions, match="negative"):
        build_scorer("length", {"least": -1})
