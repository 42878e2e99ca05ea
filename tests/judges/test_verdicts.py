"""What judge models say, read: tolerant of what stands around the verdict, strict on the verdict."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judges.kinds.base import REASONS, JudgeVerdict, NoVerdict
from judges.verdicts import combine_orders, combine_passes, panel, read_verdict
from tests.judges.frozen import frozen

CLASSIFY, SCORE, COMPARE = frozen("classify"), frozen("score"), frozen("compare")
FLOAT = frozen("score", integer=False, minimum=0.0, maximum=1.0, threshold=None)


def said(**fields: Any) -> str:
    return json.dumps({"feedback": "Because.", **fields})


@pytest.mark.parametrize(
    ("judge", "text", "value", "passed", "answer"),
    [
        (CLASSIFY, said(label="Correct"), 1, True, "Correct"),
        (CLASSIFY, said(label="Incorrect"), 0, False, "Incorrect"),
        (CLASSIFY, said(label=" reasoning ONLY "), 0, False, "Reasoning only"),
        (CLASSIFY, '{"Feedback": "Because.", "Label": "Correct"}', 1, True, "Correct"),
        (CLASSIFY, f"```json\n{said(label='Correct')}\n```", 1, True, "Correct"),
        (CLASSIFY, f"```\n{said(label='Correct')}\n```\nI hope this helps!", 1, True, "Correct"),
        (CLASSIFY, f"Let me think. 6 x 7 is 42. So:\n\n{said(label='Correct')}", 1, True, "Correct"),
        (CLASSIFY, f"<think>{said(label='Incorrect')}?</think>{said(label='Correct')}", 1, True, "Correct"),
        (CLASSIFY, f"<thinking>\nno\n</thinking>\n\n{said(label='Correct')}", 1, True, "Correct"),
        (CLASSIFY, f"Reasoning without its start</think>\n{said(label='Correct')}", 1, True, "Correct"),
        (CLASSIFY, f"{said(label='Correct')}, or rather {said(label='Incorrect')}", 0, False, "Incorrect"),
        (CLASSIFY, f"The set {{1, 2}} and {{x}} hold. {said(label='Correct')}", 1, True, "Correct"),
        (CLASSIFY, '{"feedback": "Because.",\n "label": "Correct", "confidence": 0.9}', 1, True, "Correct"),
        (CLASSIFY, '{"feedback": "Because.", "label": "Correct"} {1', 1, True, "Correct"),
        (SCORE, said(score=4), 4, True, "4"),
        (SCORE, said(score=3), 3, False, "3"),
        (SCORE, said(score=5.0), 5, True, "5"),
        (SCORE, said(score="4"), 4, True, "4"),
        (FLOAT, said(score=0.25), 0.25, None, "0.25"),
        (FLOAT, said(score=0), 0, None, "0"),
        (COMPARE, said(winner="A"), 1, True, "A"),
        (COMPARE, said(winner="b"), 0, False, "B"),
        (COMPARE, said(winner="Tie"), 0.5, None, "tie"),
    ],
)  # fmt: skip
def test_reads_verdicts(judge: Any, text: str, value: float, passed: bool | None, answer: str) -> None:
    assert read_verdict(judge, text) == JudgeVerdict(value, passed, answer, "Because.")


def test_keeps_feedback_with_latex_and_line_breaks() -> None:
    told = read_verdict(
        CLASSIFY, '{"feedback": "As \\(x\\) is\n\\"two\\"\\u00b2, \\\\(y", "label": "Correct"}'
    )
    assert isinstance(told, JudgeVerdict) and told.feedback == 'As \\(x\\) is\n"two"², \\(y'


@pytest.mark.parametrize(
    ("judge", "text", "reason"),
    [
        (CLASSIFY, "", "unparseable"),
        (CLASSIFY, "Correct", "unparseable"),
        (CLASSIFY, "The label is Correct.", "unparseable"),
        (CLASSIFY, '{"verdict": "Correct"}', "unparseable"),
        (CLASSIFY, '["Correct"]', "unparseable"),
        (CLASSIFY, '{"label": "Incorrect", "label": "Correct"}', "unparseable"),
        (CLASSIFY, said(label="Right"), "invalid_label"),
        (CLASSIFY, said(label="Correct."), "invalid_label"),
        (CLASSIFY, said(label=["Correct"]), "invalid_label"),
        (CLASSIFY, said(label=None), "invalid_label"),
        (CLASSIFY, said(label="Correct or Incorrect"), "invalid_label"),
        (CLASSIFY, "I'm sorry, but I can't assist with that request.", "refused"),
        (CLASSIFY, "I cannot help with judging this.", "refused"),
        (CLASSIFY, "<think>It is 42, so", "truncated"),
        (CLASSIFY, f"<think>It is {said(label='Correct')}", "truncated"),
        (CLASSIFY, '{"feedback": "The steps are', "truncated"),
        (CLASSIFY, '{"feedback": "Good.", "label": "Corr', "truncated"),
        (CLASSIFY, '{"feedback": "Good.", "label":', "truncated"),
        (CLASSIFY, '{"feedback": "Good.", "label": "Correct"', "truncated"),
        (CLASSIFY, '```json\n{"feedback": "Good.",\n', "truncated"),
        (CLASSIFY, f"It says {said(label='Correct')}. But {{\"feedback\": \"it is wrong", "truncated"),
        (SCORE, said(score=6), "out_of_range"),
        (SCORE, said(score=0), "out_of_range"),
        (SCORE, said(score=3.5), "out_of_range"),
        (SCORE, '{"score": NaN}', "out_of_range"),
        (SCORE, '{"score": 1e999}', "out_of_range"),
        (SCORE, '{"score": ' + "9" * 5000 + "}", "unparseable"),
        (SCORE, said(score="4/5"), "unparseable"),
        (SCORE, said(score="four"), "unparseable"),
        (SCORE, said(score=True), "unparseable"),
        (SCORE, said(score=None), "unparseable"),
        (SCORE, said(score={"value": 4}), "unparseable"),
        (COMPARE, said(winner="C"), "invalid_label"),
        (COMPARE, said(winner="A and B"), "invalid_label"),
        (COMPARE, said(winner=1), "invalid_label"),
        (CLASSIFY, '{"label": ' + "[" * 100_000, "unparseable"),
        (CLASSIFY, said(label="Incorrect") * 200 + said(label="Correct"), "unparseable"),
    ],
)  # fmt: skip
def test_has_a_reason_and_never_a_zero(judge: Any, text: str, reason: str) -> None:
    told = read_verdict(judge, text)
    assert isinstance(told, NoVerdict) and told.reason == reason
    assert str(told).startswith(REASONS[reason])


def test_an_answer_that_ended_at_its_limit_is_truncated_unless_the_verdict_is_there() -> None:
    told = read_verdict(CLASSIFY, "The steps are", finish_reason="length")
    assert isinstance(told, NoVerdict) and told.reason == "truncated"
    assert isinstance(read_verdict(CLASSIFY, said(label="Correct"), finish_reason="length"), JudgeVerdict)


def test_a_swapped_pass_is_told_from_the_side_of_a() -> None:
    answers = [read_verdict(COMPARE, said(winner=winner), swapped=True) for winner in ("A", "B", "tie")]
    assert [told.answer for told in answers if isinstance(told, JudgeVerdict)] == ["B", "A", "tie"]


@given(st.text(max_size=200), st.sampled_from([CLASSIFY, SCORE, COMPARE]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_reads_anything(text: str, judge: Any, swapped: bool) -> None:
    for prefix in ("", '{"feedback": "', '{"label": "', '{"score": ', "<think>"):
        told = read_verdict(judge, prefix + text, swapped)
        assert isinstance(told, NoVerdict) is (getattr(told, "value", None) is None)


# Several answers

A, B, TIE = (JudgeVerdict(value, passed, answer) for value, passed, answer in (
    (1.0, True, "A"), (0.0, False, "B"), (0.5, None, "tie"),
))  # fmt: skip
FAILED, REFUSED = NoVerdict("unparseable"), NoVerdict("refused")
RIGHT, WRONG, PARTLY = (
    JudgeVerdict(1.0, True, "Correct"),
    JudgeVerdict(0.0, False, "Incorrect"),
    JudgeVerdict(0.0, False, "Reasoning only"),
)


@pytest.mark.parametrize(
    ("first", "second", "answer", "flags"),
    [
        (A, A, "A", ()),
        (B, B, "B", ()),
        (TIE, TIE, "tie", ()),
        (A, B, "tie", ("flipped",)),
        (B, A, "tie", ("flipped",)),
        (A, TIE, "tie", ("flipped",)),
        (TIE, B, "tie", ("flipped",)),
        (A, FAILED, "A", ("single_pass",)),
        (FAILED, B, "B", ("single_pass",)),
    ],
)
def test_both_orders(first: Any, second: Any, answer: str, flags: tuple[str, ...]) -> None:
    told = combine_orders(first, second)
    assert isinstance(told, JudgeVerdict) and (told.answer, told.flags) == (answer, flags)


def test_two_failed_passes_give_no_verdict() -> None:
    assert combine_orders(REFUSED, FAILED) == REFUSED
    assert combine_passes(COMPARE, [REFUSED, FAILED]) == REFUSED


def scores(*values: float) -> list[JudgeVerdict]:
    return [JudgeVerdict(value, value >= 4, f"{value:g}") for value in values]


@pytest.mark.parametrize(
    ("judge", "passes", "value", "passed", "answer", "flags"),
    [
        (CLASSIFY, [RIGHT], 1, True, "Correct", ()),
        (CLASSIFY, [RIGHT, WRONG, RIGHT], 1, True, "Correct", ("split",)),
        (CLASSIFY, [RIGHT, FAILED, RIGHT], 1, True, "Correct", ("votes_missing",)),
        (SCORE, scores(4, 5, 3), 4, True, "4", ("split",)),
        (SCORE, scores(3, 4), 3.5, False, "3.5", ("split",)),
        (COMPARE, [A, A], 1, True, "A", ()),
        (COMPARE, [A, A, A, B, A, A], 1, True, "A", ("flipped", "split")),
        (COMPARE, [A, A, B, B], 0.5, None, "tie", ("split",)),
        (COMPARE, [A, FAILED], 1, True, "A", ("single_pass",)),
        (COMPARE, [A], 1, True, "A", ("single_pass",)),
    ],
)
def test_passes_about_one_response(
    judge: Any, passes: Any, value: float, passed: bool | None, answer: str, flags: tuple[str, ...]
) -> None:
    told = combine_passes(judge, passes)
    assert isinstance(told, JudgeVerdict)
    assert (told.value, told.passed, told.answer, told.flags) == (value, passed, answer, flags)


@pytest.mark.parametrize(
    ("aggregate", "votes", "value", "passed", "answer"),
    [
        ("majority", [RIGHT, RIGHT, WRONG], 1, True, "Correct"),
        ("majority", [RIGHT, RIGHT, WRONG, PARTLY, PARTLY], 0, False, "Reasoning only"),
        ("majority", [WRONG, PARTLY, RIGHT], 0, False, "Incorrect"),
        ("majority", [WRONG, FAILED, FAILED], 0, False, "Incorrect"),
        ("mean", [RIGHT, RIGHT, WRONG], 2 / 3, True, "0.6667"),
        ("mean", [RIGHT, WRONG], 0.5, None, "0.5"),
        ("mean", [RIGHT, WRONG, FAILED], 0.5, None, "0.5"),
    ],
)
def test_panel_of_labels(aggregate: str, votes: Any, value: float, passed: bool | None, answer: str) -> None:
    told = panel(frozen("classify", aggregate=aggregate), votes)
    assert isinstance(told, JudgeVerdict)
    assert (told.value, told.passed, told.answer) == (pytest.approx(value), passed, answer)


def test_panels_without_a_verdict() -> None:
    assert panel(CLASSIFY, [RIGHT, WRONG]) == NoVerdict("no_majority", "1 to 1")
    assert panel(CLASSIFY, [FAILED, REFUSED]) == FAILED
    lacking = panel(frozen("classify", min_votes=2), [RIGHT, FAILED, FAILED])
    assert lacking == NoVerdict("too_few_votes", "1 of 3, 2 needed")


def test_panels_of_scores_and_comparisons() -> None:
    mean = panel(SCORE, scores(5, 4, 3))
    assert isinstance(mean, JudgeVerdict) and (mean.value, mean.passed) == (4, True)
    for votes, answer in (([A, A, B], "A"), ([A, B], "tie"), ([A, B, TIE], "tie"), ([B, B, TIE], "B")):
        told = panel(COMPARE, votes)
        assert isinstance(told, JudgeVerdict) and told.answer == answer
