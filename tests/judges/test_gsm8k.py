"""The numeric scorer against the publisher's own labels of four real systems."""

import json

import pytest

from judges.scorers import Subject, build_scorer
from tests.conftest import SHARED

SOLUTIONS = SHARED / "data" / "gsm8k" / "example_model_solutions.jsonl"
CORRECT = {"6b_finetuning": 286, "6b_verification": 515, "175b_finetuning": 458, "175b_verification": 742}

pytestmark = pytest.mark.shared


@pytest.mark.parametrize(("system", "correct"), CORRECT.items())
def test_agrees_with_every_published_label(system: str, correct: int) -> None:
    scorer = build_scorer("numeric")
    rows = [json.loads(line) for line in SOLUTIONS.read_text().splitlines()]
    passed = [scorer.score(Subject(row[system]["solution"], [row["ground_truth"]])).passed for row in rows]
    assert len(rows) == 1319 and sum(map(bool, passed)) == correct
    assert passed == [row[system]["is_correct"] for row in rows]
