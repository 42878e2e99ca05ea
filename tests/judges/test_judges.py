"""Judges and their versions: made, changed, archived, asked about samples."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction

from datasets.models import DatasetVersion
from evalportal.lib.plugins import UnknownPlugin
from judges.asking import Material, template_problems
from judges.checking import notes_on
from judges.draft import Draft
from judges.kinds.base import JudgeVerdict, NoVerdict
from judges.models import Judge, JudgeVersion, frozen
from judges.rubrics import RUBRICS
from judges.selectors import changes_between, judges_of, materials_of, sampled_of, versions_in
from judges.services import (
    ask,
    draft_of_rubric,
    judge_archive,
    judge_create,
    judge_revise,
    preview,
)
from registry.models import RegisteredModel, Source
from tests.judges.conftest import Made, draft_of
from tests.judges.frozen import frozen as shape_of
from workspaces.access import Access
from workspaces.models import AuditEvent, Role, Workspace

pytestmark = pytest.mark.django_db
PASS = {"label": "A", "passes": True}
ITEM = {"input": "What is 6 x 7?", "references": ["42"]}


def problems_of(access: Access, draft: Draft, **more: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as error:
        judge_create(access, draft, **more)
    assert not Judge.objects.exists()
    return error.value.message_dict


@pytest.mark.parametrize("kind", ["classify", "score", "compare"])
def test_makes_the_first_version(made: Made, held: Access, judge_model: RegisteredModel, kind: str) -> None:
    version = made(kind)
    assert (version.number, version.judge.name, version.created_by) == (1, f"{kind}-judge", held.user)
    shape = frozen(version)
    expected = {"model_id": judge_model.pk, "name": "judge-model", "alias": "Judge", "position": 1}
    assert shape["models"] == [expected | {"provider": judge_model.provider.name}]  # type: ignore[union-attr]
    assert set(shape) == set(shape_of(kind)) and json.loads(json.dumps(shape)) == shape
    assert len(shape["fingerprint"]) == 64
    assert AuditEvent.objects.get(action="judge.create").target == f"{kind}-judge"


@pytest.mark.parametrize(
    ("kind", "changes", "field", "words"),
    [
        ("classify", {"name": " "}, "name", "cannot be blank"),
        ("classify", {"kind": "clasify"}, "kind", "did you mean classify"),
        ("classify", {"labels": []}, "labels", "2 to 20 labels"),
        ("classify", {"labels": [PASS, {"label": "a", "passes": False}]}, "labels", "the same name"),
        ("classify", {"labels": [PASS, {"label": "B", "passes": True}]}, "labels", "a pass, and one a fail"),
        ("classify", {"labels": [PASS, {"label": "B"}]}, "labels", "Label 2: say"),
        ("classify", {"labels": [PASS, {"label": " ", "passes": False}]}, "labels", "Label 2: give it"),
        ("classify", {"user_template": "{{ respone }}"}, "user_template", "did you mean “response”?"),
        ("classify", {"system_template": "{{ x.a }}"}, "system_template", "“x” is not defined"),
        ("classify", {"model_ids": []}, "model_ids", "Choose the model"),
        ("classify", {"model_ids": [10**9]}, "model_ids", "Not a model that can be asked here"),
        ("classify", {"min_votes": 2}, "min_votes", "number of judge models, 1"),
        ("classify", {"repeats": 0}, "repeats", "greater than or equal to 1"),
        ("classify", {"repeats": 10}, "repeats", "less than or equal to 9"),
        ("classify", {"aggregate": "median"}, "aggregate", "majority, mean"),
        ("classify", {"parameters": [1]}, "parameters", "JSON object"),
        ("classify", {"parameters": {"temperature": 3}}, "parameters", "temperature is a number from 0 to 2"),
        ("classify", {"parameters": {"max_tokens": 1.5}}, "parameters", "max_tokens is a number from 1"),
        ("classify", {"parameters": {"messages": []}}, "parameters", "portal itself: messages"),
        ("score", {"minimum": None}, "minimum", "Give a number"),
        ("score", {"minimum": 5}, "maximum", "above the lowest"),
        ("score", {"threshold": 6}, "threshold", "A pass begins above"),
        ("score", {"maximum": float("inf")}, "maximum", "Give a number"),
        ("score", {"maximum": 4.5}, "integer", "both ends have to be whole"),
        ("compare", {"user_template": "{{ response_a }}"}, "user_template", "use response_a and response_b"),
    ],
)  # fmt: skip
def test_refuses_with_words_at_the_field(
    held: Access, judge_model: RegisteredModel, kind: str, changes: dict[str, Any], field: str, words: str
) -> None:
    draft = replace(draft_of(kind, judge_model), **changes)
    assert words in " ".join(problems_of(held, draft)[field])


def test_tells_all_problems_at_once(held: Access, judge_model: RegisteredModel) -> None:
    draft = replace(draft_of("score", judge_model), name="", user_template="", model_ids=[], minimum=9)
    assert set(problems_of(held, draft)) == {"name", "user_template", "model_ids", "maximum"}


def test_only_models_that_the_workspace_can_ask(
    held: Access, beta: Workspace, model: Callable[..., RegisteredModel]
) -> None:
    foreign = model(workspace=beta)
    named = model(name="by-name", source=Source.NAME_ONLY)
    for each in (foreign, named):
        assert "model_ids" in problems_of(held, draft_of("classify", each))


def test_a_name_is_free_once_in_a_workspace(made: Made, held: Access, judge_model: RegisteredModel) -> None:
    made(name="Twice")
    with pytest.raises(ValidationError) as error:
        judge_create(held, draft_of("score", judge_model, name="Twice"))
    assert error.value.message_dict == {"name": ["There is a judge of this name already."]}


def test_viewers_change_nothing(held: Access, judge_model: RegisteredModel, made: Made) -> None:
    viewing = replace(held, role=Role.VIEWER)
    version = made()
    for act in (
        lambda: judge_create(viewing, draft_of("score", judge_model)),
        lambda: judge_revise(viewing, version.judge, draft_of("classify", judge_model)),
        lambda: judge_archive(viewing, version.judge),
        lambda: ask(viewing, draft_of("classify", judge_model), []),
    ):
        with pytest.raises(PermissionDenied):
            act()


def test_a_change_makes_the_next_version_and_keeps_the_old_one(made: Made, held: Access) -> None:
    first = made()
    draft = Draft.of(first)
    again = judge_revise(held, first.judge, replace(draft, name="Renamed", description="New"))
    assert again.pk == first.pk and Judge.objects.get().name == "Renamed"
    second = judge_revise(
        held, first.judge, replace(draft, user_template="Look: {{ response }}", note="Shorter")
    )
    assert (second.number, second.note) == (2, "Shorter") and second.fingerprint != first.fingerprint
    assert JudgeVersion.objects.get(pk=first.pk).user_template == first.user_template
    assert [each.number for each in versions_in(held.workspace)] == [2, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"system_template": "Be strict."}, {"user_template": "{{ response }}"}, {"repeats": 3},
        {"parameters": {"temperature": 1}}, {"aggregate": "mean"},
        {"labels": [{"label": "Yes", "passes": True}, {"label": "No", "passes": False}]},
    ],
)  # fmt: skip
def test_what_decides_verdicts_changes_the_fingerprint(
    made: Made, held: Access, change: dict[str, Any]
) -> None:
    first = made()
    assert (
        judge_revise(held, first.judge, replace(Draft.of(first), **change)).fingerprint != first.fingerprint
    )


def test_another_model_changes_the_fingerprint_and_going_back_brings_it_back(
    made: Made, held: Access, model: Callable[..., RegisteredModel]
) -> None:
    first = made()
    draft = Draft.of(first)
    other = judge_revise(held, first.judge, replace(draft, model_ids=[model(name="another").pk]))
    assert other.fingerprint != first.fingerprint
    back = judge_revise(held, first.judge, draft)
    assert (back.number, back.fingerprint) == (3, first.fingerprint)


def test_zero_is_zero_however_it_is_written(held: Access, judge_model: RegisteredModel) -> None:
    made = [
        judge_create(
            held, draft_of("classify", judge_model, name=str(zero), parameters={"temperature": zero})
        )
        for zero in (0, 0.0)
    ]
    assert made[0].fingerprint == made[1].fingerprint


def test_tells_two_versions_apart(made: Made, held: Access) -> None:
    first = made()
    second = judge_revise(held, first.judge, replace(Draft.of(first), system_template="You rate.", repeats=3))
    changes = {change.name: change for change in changes_between(first, second)}
    assert set(changes) == {"System template", "Repeats"}
    assert ("del", "grade") in changes["System template"].before
    assert ("ins", "rate") in changes["System template"].after


def test_archived_judges_are_listed_apart(made: Made, held: Access) -> None:
    judge = made().judge
    judge_archive(held, judge)
    assert not judges_of(held.workspace) and judges_of(held.workspace, archived=True).get() == judge
    judge_archive(held, judge, archived=False)
    judge_archive(held, judge, archived=False)
    assert judges_of(held.workspace).get().archived_at is None  # type: ignore[misc]
    assert AuditEvent.objects.filter(action="judge.restore").count() == 1


def test_the_database_refuses_what_services_would(made: Made) -> None:
    version = made("score")
    for change in ({"minimum": 9}, {"threshold": 0.5}, {"repeats": 0}, {"min_votes": 0}):
        with pytest.raises(IntegrityError), transaction.atomic():
            JudgeVersion.objects.filter(pk=version.pk).update(**change)


def test_a_deleted_model_leaves_its_name(made: Made, judge_model: RegisteredModel) -> None:
    version = made()
    judge_model.delete()
    kept = frozen(JudgeVersion.objects.get(pk=version.pk))
    assert (kept["models"][0]["model_id"], kept["models"][0]["name"]) == (None, "judge-model")
    assert kept["fingerprint"] == version.fingerprint


# Rubrics


@pytest.mark.parametrize("key", list(RUBRICS))
def test_rubrics_can_be_stored_as_they_are(held: Access, judge_model: RegisteredModel, key: str) -> None:
    draft = draft_of_rubric(held.workspace, key, model_ids=[judge_model.pk])
    assert template_problems(draft.kind, draft.system_template, draft.user_template) == {}
    version = judge_create(held, draft)
    assert draft_of_rubric(held.workspace, key).name == f"{draft.name} 2"
    item = ITEM | {"metadata": {"context": "6 x 7 = 42."}}
    [chat] = preview(held, Draft.of(version), [Material(item, "It is 42.", "It is 41.")])
    assert not any(each.problem for each in chat) and "It is 42." in chat[0].messages[1]["content"]


def test_an_unknown_rubric_is_named(held: Access) -> None:
    with pytest.raises(UnknownPlugin, match="did you mean correctness"):
        draft_of_rubric(held.workspace, "corectness")


# Samples


def sample(dataset: Callable[..., DatasetVersion]) -> DatasetVersion:
    rows = [
        {"prompt": f"Q{n}", "references": [str(n)], "metadata": {"context": "c", "level": n},
         "responses": {"gpt": f"It is {n}."} if n < 3 else {}}
        for n in range(1, 6)
    ]  # fmt: skip
    return dataset(rows, response_models=["gpt"])


def test_columns_of_the_sample_are_checked(
    held: Access, judge_model: RegisteredModel, dataset: Callable[..., DatasetVersion]
) -> None:
    sampled = sampled_of(held.workspace, sample(dataset).pk)
    draft = draft_of("classify", judge_model, user_template="{{ metadata.contxt }}{{ response }}")
    words = " ".join(problems_of(held, draft, sampled=sampled)["user_template"])
    assert "no metadata column “contxt”; did you mean “metadata.context”?" in words
    deep = draft_of("classify", judge_model, user_template="{{ metadata.level.x.y }}{{ response }}")
    assert "lacks what the template asks for" in " ".join(
        problems_of(held, deep, sampled=sampled)["user_template"]
    )


def test_notes(held: Access, judge_model: RegisteredModel, dataset: Callable[..., DatasetVersion]) -> None:
    sampled = sampled_of(held.workspace, sample(dataset).pk)
    draft = draft_of("classify", judge_model, user_template="{{ metadata.context }}{{ response }}")
    assert notes_on(draft, sampled) == ["Not used from Numbers 1 v1: metadata.level."]
    assert notes_on(replace(draft, user_template="{{ metadata }}{{ response }}"), sampled) == []
    odd = replace(
        draft_of("compare", judge_model), parameters={"temperature": 1, "max_tokens": 5}, both_orders=False
    )
    assert len(notes_on(odd)) == 3


def test_samples_belong_to_the_workspace(
    held: Access, beta: Workspace, dataset: Callable[..., DatasetVersion]
) -> None:
    foreign = dataset(2, workspace=beta)
    assert sampled_of(held.workspace, foreign.pk) is None and sampled_of(held.workspace, None) is None


def test_responses_of_a_sample(held: Access, dataset: Callable[..., DatasetVersion]) -> None:
    sampled = sampled_of(held.workspace, sample(dataset).pk)
    assert sampled and [value for value, _ in sampled.sources] == ["recorded:gpt", "reference", "typed"]
    wanted = {"other": "reference", "typed": "mine", "typed_other": ""}
    found = materials_of(sampled, source="recorded:gpt", compares=True, **wanted)
    shown = [(material.response, material.other) if material else None for _, material in found]
    assert shown == [("It is 1.", "1"), ("It is 2.", "2"), None]
    typed = materials_of(sampled, source="typed", compares=False, **wanted)
    assert [material.response for _, material in typed if material] == ["mine"] * 3


# Asking


def test_asks_and_reads_the_verdict(
    held: Access, judge_model: RegisteredModel, says: Callable[..., None], stub: Any
) -> None:
    bodies: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> str:
        bodies.append(body)
        return '<think>Hm.</think>```json\n{"feedback": "Same.", "label": "Correct"}\n```'

    says(answer)
    [judged] = ask(held, draft_of("classify", judge_model), [Material(ITEM, "It is 42.")])
    assert judged.said == JudgeVerdict(1.0, True, "Correct", "Same.")
    assert (bodies[0]["temperature"], bodies[0]["max_tokens"]) == (0, 4096)
    assert "response_format" not in bodies[0] and "stream" not in bodies[0]


def test_a_model_with_json_schema_is_given_it(
    held: Access, model: Callable[..., RegisteredModel], says: Callable[..., None]
) -> None:
    bodies: list[dict[str, Any]] = []
    says(lambda body: bodies.append(body) or '{"feedback": "", "score": 5}')
    able = model(name="judge-model", capabilities=["json_schema"], default_params={"seed": 1})
    [judged] = ask(held, draft_of("score", able), [Material(ITEM, "It is 42.")])
    assert isinstance(judged.said, JudgeVerdict) and judged.said.value == 5
    assert bodies[0]["response_format"]["json_schema"]["strict"] is True and bodies[0]["seed"] == 1


def test_compares_in_both_orders(
    held: Access, judge_model: RegisteredModel, says: Callable[..., None]
) -> None:
    says(winner="A")  # whatever stands first
    [judged] = ask(held, draft_of("compare", judge_model), [Material(ITEM, "42", "41")])
    assert isinstance(judged.said, JudgeVerdict)
    assert (judged.said.answer, judged.said.flags, len(judged.asked)) == ("tie", ("flipped",), 2)


def test_a_panel_votes(
    held: Access, model: Callable[..., RegisteredModel], says: Callable[..., None]
) -> None:
    members = [model(name=name) for name in ("strict", "mild", "kind")]
    says(lambda body: json.dumps({"label": "Incorrect" if body["model"] == "strict" else "Correct"}))
    [judged] = ask(held, draft_of("classify", *members, min_votes=2), [Material(ITEM, "42")])
    assert isinstance(judged.said, JudgeVerdict)
    assert (judged.said.answer, judged.said.flags, len(judged.asked)) == ("Correct", ("split",), 3)


def test_what_fails_has_its_reason(
    held: Access, judge_model: RegisteredModel, says: Callable[..., None], stub: Any
) -> None:
    draft = draft_of("classify", judge_model)
    says("I think it is right.")
    [judged] = ask(held, draft, [Material(ITEM, "42")])
    assert isinstance(judged.said, NoVerdict) and judged.said.reason == "unparseable"
    stub.set(fail_rate=1.0, fail_mode=["400"])
    [judged] = ask(held, draft, [Material(ITEM, "42")])
    assert isinstance(judged.said, NoVerdict) and judged.said.reason == "call_failed"
