"""The contract of every scorer in the table, then each one's own behaviour."""

import os
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalportal.lib.plugins import UnknownPlugin
from judges.scorers import (
    SCORERS,
    BadOptions,
    Scorer,
    Subject,
    Verdict,
    build_scorer,
    option_fields,
)
from judges.scorers.bounded_regex import _child

NEEDED: dict[str, dict[str, Any]] = {
    "regex": {"pattern": "([A-D0-9]+)"},
    "json_schema": {"schema": '{"type": "object"}'},
    "python": {"expression": "len(response) > 3"},
    "semantic": {"model": "embedder"},
}
ALL = dict(SCORERS.items())
TEXTS = st.text(st.characters(codec=None), max_size=200) | st.sampled_from(
    [
        "",
        " ",
        "B",
        "(B)",
        "Answer: B",
        "A: 18",
        "#### 1,2",
        "\\boxed{",
        "\\boxed{1/0}",
        "$-5%",
        "1e999",
        "0/0",
        "\0",
    ]
)
SUBJECTS = st.builds(
    Subject,
    response=TEXTS,
    references=st.lists(TEXTS, max_size=3),
    choices=st.lists(TEXTS, max_size=30),
)


def scorer(key: str, **options: Any) -> Scorer[Any]:
    given = {**NEEDED.get(key, {}), **options}
    return build_scorer(key, given)


def said(verdict: Verdict) -> tuple[bool | None, str]:
    return verdict.passed, verdict.answer


@pytest.mark.parametrize("key", list(ALL))
class TestEveryScorer:
    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(subject=SUBJECTS)
    def test_never_raises_and_is_consistent(self, key: str, subject: Subject) -> None:
        verdict = scorer(key).score(subject)
        if verdict.unscored_reason:
            assert verdict.value is None and verdict.passed is None
        else:
            built = scorer(key)
            assert verdict.value is not None and 0 <= verdict.value <= built.best
            if not hasattr(built.options, "pass_at"):
                assert verdict.value in (0.0, 1.0) and verdict.passed is bool(verdict.value)
            assert verdict.explanation
        for text in (verdict.answer, verdict.explanation, verdict.unscored_reason):
            assert "\0" not in text
            text.encode()
        assert len(verdict.unscored_reason) <= 200

    def test_missing_reference_is_unscored(self, key: str) -> None:
        verdict = scorer(key).score(Subject("18", latency_ms=5.0, cost=Decimal("0.001")))
        if ALL[key].needs_reference:
            assert verdict.value is None and verdict.unscored_reason == "the item has no reference"
        else:
            assert verdict.value is not None

    def test_empty_response_is_wrong(self, key: str) -> None:
        for response in ("", " \n") if ALL[key].reads_response else ():
            verdict = scorer(key).score(Subject(response, ["18"], ["18"]))
            assert (verdict.value, verdict.passed, verdict.answer) == (0.0, False, "")
            assert "empty" in verdict.explanation

    def test_huge_response_is_quick_and_answer_is_short(self, key: str) -> None:
        built = scorer(key)
        for piece in ("answer ", "\\boxed{{", "9,", " ", "((", "A: \n", "1/", "-", "#### ", "answer: "):
            started = time.process_time()
            verdict = built.score(Subject(piece * (1_000_000 // len(piece)), ["18", "A"], ["x", "18"]))
            assert time.process_time() - started < 5, piece
            assert len(verdict.answer) <= 2_000

    def test_describes_itself(self, key: str) -> None:
        kind = ALL[key]
        assert kind.key == key and kind.title and kind.description.endswith(".")
        for field in option_fields(kind):
            assert len(field.help) > 5 and field.type in (str, int, float, bool)
            assert not field.choices or field.default in field.choices

    def test_options_from_text_are_the_typed_ones(self, key: str) -> None:
        fields = option_fields(ALL[key])
        typed = {field.name: NEEDED.get(key, {}).get(field.name, field.default) for field in fields}
        as_text = {name: str(value) for name, value in typed.items()}
        assert scorer(key, **as_text).options == scorer(key, **typed).options

    def test_unknown_option_names_the_nearest(self, key: str) -> None:
        name = option_fields(ALL[key])[0].name
        with pytest.raises(BadOptions) as caught:
            scorer(key, **{name + "x": 1})
        assert f"did you mean {name}" in caught.value.problems[name + "x"]


def test_unknown_scorer_names_the_nearest() -> None:
    with pytest.raises(UnknownPlugin, match="numeric"):
        build_scorer("numerc")


def test_wrong_options_are_all_named() -> None:
    with pytest.raises(BadOptions) as caught:
        build_scorer("numeric", {"absolute_tolerance": "much", "last_number": "perhaps", "percent": "no"})
    assert set(caught.value.problems) == {"absolute_tolerance", "last_number"}
    with pytest.raises(BadOptions, match="negative"):
        build_scorer("numeric", {"absolute_tolerance": -1})
    with pytest.raises(BadOptions, match="nan"):
        build_scorer("numeric", {"absolute_tolerance": "nan"})


class TestExactMatch:
    @pytest.mark.parametrize(
        ("response", "reference", "options", "passed"),
        [
            ("Paris", "paris", {}, True),
            (" Paris.\n", "paris", {}, True),
            ("the Paris", "Paris", {}, False),
            ("the Paris", "Paris", {"ignore_articles": True}, True),
            ("Paris", "paris", {"mode": "raw"}, False),
            ("Paris ", "Paris", {"mode": "raw"}, False),
            ("Paris", "Paris", {"mode": "raw"}, True),
            ("Paris!", "Paris", {"ignore_punctuation": False}, False),
            ("Paris", "paris", {"ignore_case": False}, False),
            ("a  b", "a b", {"ignore_whitespace": False}, False),
            ("?", "!", {}, False),
            ("Ｐａｒｉｓ", "Paris", {}, True),
            ("Straße", "STRASSE", {}, True),
        ],
    )
    def test_compares(self, response: str, reference: str, options: dict[str, Any], passed: bool) -> None:
        assert scorer("exact_match", **options).score(Subject(response, [reference])).passed is passed

    def test_any_reference_counts(self) -> None:
        verdict = scorer("exact_match").score(Subject("NYC", ["New York", "nyc"]))
        assert verdict.passed and "nyc" in verdict.explanation


class TestIncludes:
    @pytest.mark.parametrize(
        ("response", "references", "options", "passed"),
        [
            ("It is Paris, of course.", ["paris"], {}, True),
            ("It is Paris.", ["paris"], {"ignore_case": False}, False),
            ("concatenate", ["cat"], {}, True),
            ("concatenate", ["cat"], {"whole_words": True}, False),
            ("a cat!", ["cat"], {"whole_words": True}, True),
            ("red", ["red", "blue"], {}, True),
            ("red", ["red", "blue"], {"need": "all"}, False),
            ("blue, red", ["red", "blue"], {"need": "all"}, True),
            ("New\n  York", ["new york"], {}, True),
        ],
    )
    def test_finds(self, response: str, references: list[str], options: dict[str, Any], passed: bool) -> None:
        assert scorer("includes", **options).score(Subject(response, references)).passed is passed


class TestRegex:
    @pytest.mark.parametrize(
        ("response", "options", "expected"),
        [
            ("ANSWER: B", {"pattern": r"ANSWER: *([A-D])"}, (True, "B")),
            ("ANSWER: A … ANSWER: B", {"pattern": r"ANSWER: *([A-D])"}, (True, "B")),
            ("ANSWER: A … ANSWER: B", {"pattern": r"ANSWER: *([A-D])", "occurrence": "first"}, (False, "A")),
            ("answer: b", {"pattern": r"ANSWER: *([A-D])", "ignore_case": True}, (True, "b")),
            ("answer: b", {"pattern": r"ANSWER: *([A-D])"}, (False, "")),
            ("answer: b", {"pattern": r"(?i)ANSWER: *([A-D])", "compare": "raw"}, (False, "b")),
            ("x=1;y=B", {"pattern": r"x=(?P<x>\d);y=(?P<y>\w)", "group": "y"}, (True, "B")),
            ("x=1;y=B", {"pattern": r"x=(?P<x>\d);y=(?P<y>\w)", "group": "2"}, (True, "B")),
            ("x=1;y=B", {"pattern": r"x=(?P<x>\d);y=(?P<y>\w)"}, (False, "1")),
            ("no\nB\nyes", {"pattern": "^.$", "multiline": True}, (True, "B")),
            ("(B", {"pattern": r"\((.+)", "dot_all": True}, (True, "B")),
            ("whatever B", {"pattern": "B$", "compare": "found"}, (True, "B")),
            ("C", {"pattern": "(B)?"}, (False, "")),
        ],
    )
    def test_captures(self, response: str, options: dict[str, Any], expected: tuple[bool, str]) -> None:
        assert said(scorer("regex", **options).score(Subject(response, ["B"]))) == expected

    def test_found_needs_no_reference(self) -> None:
        assert scorer("regex", compare="found").score(Subject("A")).passed

    @pytest.mark.parametrize(
        ("options", "field", "word"),
        [
            ({"pattern": "("}, "pattern", "not a regular expression"),
            ({"pattern": ""}, "pattern", "required"),
            ({"pattern": "a" * 1001}, "pattern", "longer"),
            ({"pattern": "(a)", "group": "2"}, "group", "1 groups"),
            ({"pattern": "(?P<x>a)", "group": "y"}, "group", "x"),
        ],
    )
    def test_bad_patterns_are_refused(self, options: dict[str, Any], field: str, word: str) -> None:
        with pytest.raises(BadOptions) as caught:
            build_scorer("regex", options)
        assert word in caught.value.problems[field]

    def test_pattern_is_required(self) -> None:
        with pytest.raises(BadOptions) as caught:
            build_scorer("regex", {})
        assert caught.value.problems == {"pattern": "is required"}

    @pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*)*b$", r"a*a*a*a*a*a*a*c"])
    def test_catastrophic_pattern_is_ended_and_unscored(self, pattern: str) -> None:
        built = scorer("regex", pattern=pattern)
        started = time.monotonic()
        verdict = built.score(Subject("a" * 5_000 + "!", ["x"]))
        assert verdict.value is None and "longer than" in verdict.unscored_reason
        assert time.monotonic() - started < 30
        assert said(scorer("regex", pattern="b+").score(Subject("abb", ["bb"]))) == (True, "bb")

    def test_matching_goes_on_in_a_forked_process(self) -> None:
        built = scorer("regex")
        assert built.score(Subject("A", ["A"])).passed
        parents = _child.process
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            passed = all(built.score(Subject("A", ["A"])).passed for _ in range(50))
            os.write(writer, b"y" if passed and _child.process is not parents else b"n")
            os._exit(0)
        assert all(built.score(Subject("A", ["A"])).passed for _ in range(50))
        assert os.read(reader, 1) == b"y"
        os.waitpid(child, 0)


class TestNumeric:
    @pytest.mark.parametrize(
        ("response", "reference", "answer", "rule"),
        [
            ("18", "18", "18", "whole text"),
            ("A: 18", "18", "18", "answer marker"),
            ("2+2=4\nA: 18", "18", "18", "answer marker"),
            ("so 16 and 2\n#### 18", "18", "18", "####"),
            ("ANSWER: 18", "18", "18", "answer marker"),
            ("**Answer:** $18 a day, 7 days", "18", "$18", "answer marker"),
            ("Answer: 20 - 2 = 18", "18", "18", "answer marker"),
            ("The answer is 18.", "18", "18", "the answer is"),
            (r"Then $\boxed{18}$ of 20", "18", "18", "boxed"),
            (r"\boxed{\frac{1}{2}}", "0.5", r"\frac{1}{2}", "boxed"),
            ("First 20, then 18 eggs.", "18", "18", "last number"),
            ("$1,234.50", "1234.5", "$1,234.50", "whole text"),
            ("It costs $1,234.50.", "1234.5", "$1,234.50", "last number"),
            ("A: 2000", "2,000", "2000", "answer marker"),
            ("10 000", "10000", "10 000", "whole text"),
            ("-7", "\u22127", "-7", "whole text"),
            ("It fell to -$7", "-7", "-$7", "last number"),
            ("x = 10-3", "3", "3", "last number"),
            ("50%", "0.5", "50%", "whole text"),
            ("50%", "50", "50%", "whole text"),
            ("0.5", "50%", "0.5", "whole text"),
            ("3/4", "0.75", "3/4", "whole text"),
            ("1 3/4", "1.75", "1 3/4", "whole text"),
            ("1.5e3", "1500", "1.5e3", "whole text"),
            ("007", "7", "007", "whole text"),
            (".5", "0.5", ".5", "whole text"),
            ("18.0", "18", "18.0", "whole text"),
        ],
    )
    def test_reads_and_says_how(self, response: str, reference: str, answer: str, rule: str) -> None:
        verdict = scorer("numeric").score(Subject(response, [reference]))
        assert said(verdict) == (True, answer)
        assert rule in verdict.explanation and "of the reference" in verdict.explanation

    @pytest.mark.parametrize(
        ("response", "reference", "options", "passed"),
        [
            ("19", "18", {}, False),
            ("18.4", "18", {"absolute_tolerance": 0.5}, True),
            ("18.6", "18", {"absolute_tolerance": 0.5}, False),
            ("101", "100", {"relative_tolerance": 0.01}, True),
            ("102", "100", {"relative_tolerance": 0.01}, False),
            ("-18", "18", {}, False),
            ("50%", "0.5", {"percent": False}, False),
            ("50%", "50%", {}, True),
            ("12345678901234567", "12345678901234568", {}, False),
            ("18 of 20", "18", {"last_number": False}, False),
            ("A: 18 of 20", "18", {"last_number": False}, True),
            ("nothing", "18", {}, False),
            ("9" * 5000, "18", {}, False),
            ("Answer: 1/0", "18", {}, False),
        ],
    )
    def test_compares(self, response: str, reference: str, options: dict[str, Any], passed: bool) -> None:
        assert scorer("numeric", **options).score(Subject(response, [reference])).passed is passed

    def test_reference_without_number_is_unscored(self) -> None:
        verdict = scorer("numeric").score(Subject("18", ["eighteen"]))
        assert verdict.value is None and "eighteen" in verdict.unscored_reason

    def test_worked_solution_as_reference(self) -> None:
        reference = "She sells 16 - 3 - 4 = <<16-3-4=9>>9 eggs.\n#### 18"
        assert scorer("numeric").score(Subject("A: 18", [reference])).passed


class TestMultipleChoice:
    CHOICES = ("Berlin", "Paris", "a dog", "New York")

    @pytest.mark.parametrize(
        "response",
        [
            "B", "b", "(B)", "B.", "**B**", " B\n", "B)", "[B]", "Answer: B", "ANSWER: (B)", "answer: **B**",
            "The answer is B.", "The answer is (b).", "The correct answer is: B", "The answer is option B",
            "B. Paris", "(B) Paris", "B) because it is the capital", "B: Paris", "Paris", "paris.",
            "The answer is Paris.", "Answer: Paris, of course", "Berlin is in Germany, so the answer is B",
            r"\boxed{B}", r"So $\boxed{\text{B}}$.", "#### B", "Let me think. A is no.\n\nB",
            "It must be (B).", "I would say that Paris is right.", "Option A is wrong. Answer: B as it is",
            "The answer is A? No. The answer is B.",
        ],
    )  # fmt: skip
    def test_reads_the_second(self, response: str) -> None:
        for reference in ("B", "(b)", "Paris", "1"):
            verdict = scorer("multiple_choice").score(Subject(response, [reference], self.CHOICES))
            assert said(verdict) == (True, "B"), verdict

    @pytest.mark.parametrize(
        ("response", "answer"),
        [
            ("The answer is a dog.", "C"),
            ("A dog", "C"),
            ("A cat sat on it", ""),
            ("Answer: A because of the wall", "A"),
            ("Answer: A cat", ""),
            ("Berlin or Paris", ""),
            ("E", ""),
            ("I think so", ""),
            ("Answer: I think it is hard", ""),
        ],
    )
    def test_reads_or_leaves(self, response: str, answer: str) -> None:
        verdict = scorer("multiple_choice").score(Subject(response, ["B"], self.CHOICES))
        assert said(verdict) == (False, answer), verdict

    def test_letters_without_choices(self) -> None:
        assert scorer("multiple_choice").score(Subject("Answer: C", ["C"])).passed
        assert not scorer("multiple_choice").score(Subject("Answer: I think so", ["C"])).passed

    def test_numbers_as_choices_are_text_before_index(self) -> None:
        choices = ["3", "1", "2"]
        assert scorer("multiple_choice").score(Subject("The answer is 1.", ["1"], choices)).answer == "B"

    def test_index_may_start_at_one(self) -> None:
        subject = Subject("A", ["1"], self.CHOICES)
        assert scorer("multiple_choice", first_index="1").score(subject).passed
        assert not scorer("multiple_choice", first_index="0").score(subject).passed

    def test_longer_choice_wins_over_the_one_inside_it(self) -> None:
        choices = ["York", "New York"]
        assert scorer("multiple_choice").score(Subject("The answer is New York", ["B"], choices)).passed
        assert scorer("multiple_choice").score(Subject("I love New York a lot", ["B"], choices)).passed

    def test_reference_that_is_no_choice_is_unscored(self) -> None:
        for reference in ("Rome", "Z", "9"):
            verdict = scorer("multiple_choice").score(Subject("B", [reference], self.CHOICES))
            assert verdict.value is None and "none of the choices" in verdict.unscored_reason
