"""The control set put before a version's models, and what came of it."""

from typing import Any

from django.utils import timezone

from judges.asking import Material
from judges.calling import Judged, Unavailable, judge_all
from judges.controls import Case, control_cases, is_false_pass
from judges.kinds.base import Frozen, JudgeVerdict
from judges.models import ControlCheck, JudgeVersion, frozen
from judges.spending import purse_of
from registry.models import RegisteredModel
from registry.selectors import models_for

TRIES = 2


def control_check_finish(check: ControlCheck) -> None:
    """Asks, counts and stores; a finished check stays as it is. Calls out: not inside a transaction."""
    shape = frozen(check.version)
    try:
        models = _models(check.version)
        cases = list(control_cases(shape))
        materials = [Material(case.item, case.response, case.other) for case in cases]
        judged = judge_all(shape, models, materials, purse_of(check.version.judge.workspace_id), tries=TRIES)
        found = [_case(shape, case, each) for case, each in zip(cases, judged, strict=True)]
        _store(check, found)
    except Unavailable as why:
        _store(check, [], problem=str(why))


def _models(version: JudgeVersion) -> list[RegisteredModel]:
    """Those that the version names, as they are now. Raises Unavailable unless all can be asked."""
    usable = {model.pk: model for model in models_for(version.judge.workspace)}
    rows = list(version.judge_models.all())
    gone = [row.title for row in rows if row.model_id not in usable or usable[row.model_id].name != row.name]
    if gone or not rows:
        raise Unavailable(
            f"No longer to be asked as this version names them: {', '.join(gone) or 'no model'}."
        )
    return [usable[row.model_id] for row in rows if row.model_id is not None]


def _case(shape: Frozen, case: Case, judged: Judged) -> dict[str, Any]:
    said = judged.said
    row = {"key": case.key, "title": case.title, "question": case.item["input"], "response": case.response}
    if isinstance(said, JudgeVerdict):
        passed = is_false_pass(shape, said.value, said.passed)
        return row | {"passed": passed, "answer": said.answer, "feedback": said.feedback, "reason": ""}
    return row | {"passed": None, "answer": "", "feedback": "", "reason": str(said)[:300]}


def _store(check: ControlCheck, cases: list[dict[str, Any]], problem: str = "") -> None:
    scored = [case for case in cases if case["passed"] is not None]
    check.cases, check.problem, check.finished_at = cases, problem[:500], timezone.now()
    check.n, check.unscored = len(scored), len(cases) - len(scored)
    check.false_passes = sum(case["passed"] for case in scored)
    kept = ["cases", "problem", "finished_at", "n", "unscored", "false_passes"]
    ControlCheck.objects.filter(pk=check.pk, finished_at=None).update(
        **{name: getattr(check, name) for name in kept}
    )
