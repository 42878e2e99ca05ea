"""What people command about judges. Every change is checked, and leaves an audit line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from judges.asking import Material
from judges.calling import Judged, Unavailable, judge_all, messages_for
from judges.checking import Checked, checked
from judges.draft import Draft
from judges.models import ControlCheck, Judge, JudgeVersion, fields_of, fingerprint_of, model_fields
from judges.rubrics import RUBRICS
from judges.selectors import Sampled, newest_version
from judges.spending import purse_of
from judges.tasks import control_check_run
from judges.templating import TemplateProblem
from workspaces import audit
from workspaces.access import Access
from workspaces.models import Workspace

__all__ = ["Draft", "Unavailable"]

PREVIEW_TIMEOUT_S = 60.0


def draft_of_rubric(workspace: Workspace, key: str, **changes: Any) -> Draft:
    """A ready-made rubric to be changed, under a name that is free. Raises UnknownPlugin."""
    draft = Draft.of_rubric(RUBRICS[key])
    return replace(draft, name=_free_name(workspace, draft.name), **changes)


@transaction.atomic
def judge_create(access: Access, draft: Draft, sampled: Sampled | None = None) -> JudgeVersion:
    """Raises ValidationError by field."""
    _may_change(access)
    judge = Judge(
        workspace=access.workspace, name=draft.name.strip(), description=draft.description.strip(),
        created_by=access.actor,
    )  # fmt: skip
    ready = _checked_with(judge, access, draft, sampled)
    judge.save(force_insert=True)
    version = _version_add(access, judge, ready)
    audit.record(access, "judge.create", judge.name, kind=version.kind)
    return version


@transaction.atomic
def judge_revise(access: Access, judge: Judge, draft: Draft, sampled: Sampled | None = None) -> JudgeVersion:
    """Renames it, and makes its next version if anything that decides verdicts changed; returns the newest.

    Runs keep the version that judged them. Raises ValidationError by field."""
    _may_change(access)
    judge = Judge.objects.select_for_update().get(pk=judge.pk, workspace=access.workspace)
    judge.name, judge.description = draft.name.strip(), draft.description.strip()
    ready = _checked_with(judge, access, draft, sampled)
    judge.save(update_fields=["name", "description"])
    newest = newest_version(judge)
    if _same(newest, ready):
        return newest
    version = _version_add(access, judge, ready, number=newest.number + 1)
    audit.record(access, "judge.revise", judge.name, version=version.number)
    return version


@transaction.atomic
def judge_archive(access: Access, judge: Judge, *, archived: bool = True) -> None:
    """An archived judge is offered nowhere; runs keep what it said. Safe to repeat."""
    _may_change(access)
    if (judge.archived_at is not None) == archived:
        return
    judge.archived_at = timezone.now() if archived else None
    judge.save(update_fields=["archived_at"])
    audit.record(access, "judge.archive" if archived else "judge.restore", judge.name)


@dataclass(frozen=True)
class Rendered:
    """The chat as it would be sent, or the problem for which it can't be."""

    swapped: bool
    messages: Sequence[Mapping[str, Any]]
    problem: str = ""


def preview(
    access: Access, draft: Draft, materials: Sequence[Material], sampled: Sampled | None = None
) -> list[list[Rendered]]:
    """For each material one a pass order. Raises ValidationError by field."""
    shape = _ready(access, draft, sampled).frozen()
    orders = (False, True) if shape["both_orders"] else (False,)
    return [[_rendered(shape, each, swapped) for swapped in orders] for each in materials]


def _rendered(shape: Mapping[str, Any], material: Material, swapped: bool) -> Rendered:
    try:
        return Rendered(swapped, messages_for(shape, material, swapped=swapped))
    except TemplateProblem as problem:
        return Rendered(swapped, (), str(problem))


def ask(
    access: Access, draft: Draft, materials: Sequence[Material], sampled: Sampled | None = None
) -> list[Judged]:
    """Asks the draft's models about the materials, now. Calls out: not inside a transaction.

    The calls count in the workspace's month. Raises ValidationError by field, Unavailable."""
    ready = _ready(access, draft, sampled)
    purse = purse_of(access.workspace.pk)
    return judge_all(ready.frozen(), ready.models, materials, purse, timeout_s=PREVIEW_TIMEOUT_S)


@transaction.atomic
def check_controls(access: Access, version: JudgeVersion) -> ControlCheck:
    """Puts the control set before the version's models, in a task; the check that goes on if there is one."""
    _may_change(access)
    Judge.objects.select_for_update().get(pk=version.judge_id)
    going_on = ControlCheck.going_on().filter(version=version).first()
    if going_on:
        return going_on
    check = ControlCheck.objects.create(version=version, created_by=access.actor)
    audit.record(access, "judge.check_controls", version.judge.name, version=version.number)
    control_check_run.delay_on_commit(check.pk)
    return check


def _may_change(access: Access) -> None:
    if not access.can_edit:
        raise PermissionDenied("Changing a judge needs the role editor.")


def _ready(access: Access, draft: Draft, sampled: Sampled | None) -> Checked:
    _may_change(access)
    return checked(access.workspace, draft, sampled)


def _checked_with(judge: Judge, access: Access, draft: Draft, sampled: Sampled | None) -> Checked:
    """The problems of judge and version together."""
    problems: dict[str, list[str]] = {}
    ready = None
    try:
        ready = checked(access.workspace, draft, sampled)
    except ValidationError as error:
        problems.update(error.message_dict)
    try:
        judge.full_clean()
    except ValidationError as error:
        problems.update(
            {"name" if field == "__all__" else field: texts for field, texts in error.message_dict.items()}
        )
    if ready is None or problems:
        raise ValidationError(problems)
    return ready


def _same(version: JudgeVersion, ready: Checked) -> bool:
    models = [row.model_id for row in version.judge_models.all()]
    return fields_of(version) == fields_of(ready.version) and models == [model.pk for model in ready.models]


def _version_add(access: Access, judge: Judge, ready: Checked, number: int = 1) -> JudgeVersion:
    version, rows = ready.version, ready.rows()
    version.judge, version.number, version.created_by = judge, number, access.actor
    version.fingerprint = fingerprint_of(fields_of(version), [model_fields(row) for row in rows])
    version.save(force_insert=True)
    for row in rows:
        row.version = version
        row.save(force_insert=True)
    return version


def _free_name(workspace: Workspace, name: str) -> str:
    taken = set(
        Judge.objects.filter(workspace=workspace, name__startswith=name).values_list("name", flat=True)
    )
    numbered = (f"{name} {number}" for number in range(2, len(taken) + 3))
    return next(free for free in (name, *numbered) if free not in taken)
