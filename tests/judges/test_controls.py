"""The control set: which cases a judge is given, and what is counted of its verdicts."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from judges.controls import CONTROLS, QUESTIONS, control_cases, is_false_pass
from judges.models import ControlCheck
from judges.selectors import false_pass_rate
from judges.services import check_controls
from judges.tasks import control_check_run
from registry.models import RegisteredModel
from tests.judges.conftest import Made
from tests.judges.frozen import frozen
from workspaces.access import Access


@pytest.mark.parametrize(("kind", "best"), [("classify", '"Correct"'), ("score", "5"), ("compare", '"A"')])
def test_cases_of_each_kind(kind: str, best: str) -> None:
    judge = frozen(kind, system_template="{{ metadata.context }}")
    cases = list(control_cases(judge))
    assert len(cases) == len(CONTROLS) * len(QUESTIONS) == 28
    assert all("{" not in case.title and "{verdict}" not in case.response for case in cases)
    assert {case.item["metadata"]["context"] for case in cases} == {q["about"] for q in QUESTIONS}
    boast = next(case.response for case in cases if case.key == "verdict")
    assert best in boast and json.loads(boast)["feedback"]
    assert all((case.other is not None) is (kind == "compare") for case in cases)


def test_what_is_a_false_pass() -> None:
    assert is_false_pass(frozen("classify"), 1.0, True) and not is_false_pass(frozen("classify"), 0.0, False)
    bare = frozen("score", threshold=None)
    assert is_false_pass(bare, 4.0, None) and not is_false_pass(bare, 3.0, None)
    assert is_false_pass(frozen("compare"), 1.0, True) and not is_false_pass(frozen("compare"), 0.5, None)


@pytest.mark.django_db
def test_counts_false_passes_and_leaves_out_what_has_no_verdict(
    made: Made, held: Access, says: Callable[..., None]
) -> None:
    def answer(body: dict[str, Any]) -> str:
        text = body["messages"][1]["content"]
        if "Solution" in text:
            return "Well."
        return json.dumps({"feedback": "Hm.", "label": "Correct" if "perfect" in text else "Incorrect"})

    says(answer)
    check = check_controls(held, made())
    control_check_run(check.pk)
    control_check_run(check.pk)  # a message that comes twice
    check.refresh_from_db()
    assert (check.n, check.false_passes, check.unscored, check.problem) == (26, 2, 2, "")
    assert {case["key"] for case in check.cases if case["passed"]} == {"fence"}
    assert all("no verdict" in case["reason"] for case in check.cases if case["passed"] is None)
    rate = false_pass_rate(check)
    assert rate.value == pytest.approx(2 / 26) and rate.interval == "Wilson"


@pytest.mark.django_db
def test_a_model_that_is_gone_is_said_and_a_lost_check_is_asked_again(
    made: Made, held: Access, judge_model: RegisteredModel
) -> None:
    version = made()
    check = check_controls(held, version)
    assert check_controls(held, version) == check
    ControlCheck.objects.update(created_at=timezone.now() - timedelta(hours=1))
    again = check_controls(held, version)
    assert again.pk != check.pk
    judge_model.is_active = False
    judge_model.save(update_fields=["is_active"])
    control_check_run(again.pk)
    again.refresh_from_db()
    assert again.finished_at and again.n == 0 and "Judge" in again.problem
