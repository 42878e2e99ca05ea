"""The judges' pages: list, editor, preview, versions, control set."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from datasets.models import DatasetVersion
from judges.models import ControlCheck, Judge, JudgeVersion
from judges.services import judge_archive
from judges.tasks import control_check_run
from registry.models import RegisteredModel
from tests.judges.conftest import Made
from workspaces.access import Access
from workspaces.models import User

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def url(name: str, *args: Any) -> str:
    return reverse(f"judges:{name}", args=["alpha", *args])


def fields(model: RegisteredModel, **changes: Any) -> dict[str, Any]:
    """What the browser sends for a judge that can be saved."""
    return {
        "name": "math-judge", "description": "", "note": "", "kind": "classify", "models": [model.pk],
        "user_template": "{{ input }}\n{{ response }}", "system_template": "", "temperature": "0",
        "max_tokens": "4096", "repeats": "1", "more": "", "aggregate": "majority", "min_votes": "1",
        "label": ["Correct", "Wrong", ""], "meaning": ["", "", ""], "passes": ["yes", "no", "no"],
        "minimum": "1", "maximum": "5", "threshold": "4", **changes,
    }  # fmt: skip


def test_the_list_tells_what_to_do_first(viewer: User, editor: User, client_of: ClientOf, db: None) -> None:
    page = client_of(editor).get(url("list")).content.decode()
    assert "No judges yet" in page and "A judge needs a model to ask" in page and "?rubric=preference" in page
    assert "Start from a rubric" not in client_of(viewer).get(url("list")).content.decode()


def test_the_list_costs_the_same_for_many(
    made: Made, held: Access, editor: User, client_of: ClientOf, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        made(name=f"Judge {number}")
    judge_archive(held, Judge.objects.get(name="Judge 0"))
    client = client_of(editor)
    with django_assert_max_num_queries(11):
        page = client.get(url("list")).content.decode()
    assert "Judge 4" in page and "Judge 0" not in page
    assert "Judge 0" in client.get(url("list") + "?archived=1").content.decode()


def test_a_rubric_is_copied_into_the_editor_and_saved(
    editor: User, client_of: ClientOf, judge_model: RegisteredModel
) -> None:
    client = client_of(editor)
    page = client.get(url("new") + "?rubric=correctness")
    form = page.context["form"]
    assert form["name"].value() == "Correctness" and [row.label for row in form.labels] == [
        "Correct",
        "Incorrect",
    ]
    assert not Judge.objects.exists() and client.get(url("new") + "?rubric=nothing").status_code == 404
    sent = fields(judge_model, name="Correctness", user_template=form["user_template"].value())
    answer = client.post(url("new"), sent)
    version = JudgeVersion.objects.get()
    assert answer.status_code == 302 and answer["Location"] == url("detail", version.judge_id)
    assert version.labels == [
        {"label": "Correct", "meaning": "", "passes": True},
        {"label": "Wrong", "meaning": "", "passes": False},
    ]
    assert version.parameters == {"temperature": 0.0, "max_tokens": 4096} and version.minimum is None


def test_wrong_fields_are_named_where_they_stand(
    editor: User, client_of: ClientOf, judge_model: RegisteredModel
) -> None:
    sent = fields(
        judge_model, name="", models=[], user_template="{{ prompt }}", label=["A", "A"], temperature="x",
        more="[1]", passes=["yes", "no"], meaning=["", ""],
    )  # fmt: skip
    client = client_of(editor)
    page = client.post(url("new"), sent)
    html = page.content.decode()
    assert page.status_code == 422 and not Judge.objects.exists()
    assert 'id="j-name-error"' in html and 'id="j-temperature-error"' in html and 'id="j-more-error"' in html
    sent |= {"name": "n", "temperature": "3", "more": ""}
    html = client.post(url("new"), sent).content.decode()
    assert "did you mean “input”?" in html and "Two labels have the same name." in html
    assert "Choose the model that judges." in html and "temperature is a number from 0 to 2." in html
    assert "{{ prompt }}" in html


def test_a_viewer_reads_and_saves_nothing(viewer: User, client_of: ClientOf, made: Made) -> None:
    version, client = made(), client_of(viewer)
    html = client.get(url("detail", version.judge_id)).content.decode()
    assert "<fieldset" in html and "disabled" in html and "Ask the judge" not in html
    for name, args in (("save", ()), ("preview", ()), ("archive", ()), ("check", (1,))):
        assert client.post(url(name, version.judge_id, *args)).status_code == 403


def test_saving_makes_a_version_and_shows_what_changed(
    editor: User, client_of: ClientOf, made: Made, judge_model: RegisteredModel
) -> None:
    judge, client = made().judge, client_of(editor)
    page = client.get(url("detail", judge.pk))
    form = page.context["form"]
    templates = {name: form[name].value() for name in ("user_template", "system_template")}
    same = fields(
        judge_model, name="Renamed", **templates,
        label=[row.label for row in form.labels], meaning=[row.meaning for row in form.labels],
        passes=["yes" if row.passes else "no" for row in form.labels],
    )  # fmt: skip
    answer = client.post(url("save", judge.pk), same, follow=True)
    assert "v1 stays" in answer.content.decode() and judge.versions.count() == 1
    client.post(url("save", judge.pk), same | {"user_template": "Look: {{ response }}", "note": "Short"})
    html = client.get(url("version", judge.pk, 2)).content.decode()
    assert "Changed since v1" in html and "<ins>Look" in html and "Short" in html
    assert client.get(url("version", judge.pk, 1)).context["against"] is None
    assert client.get(url("version", judge.pk, 1) + "?against=2").context["against"].number == 2
    assert client.get(url("version", judge.pk, 3)).status_code == 404


def test_archiving(editor: User, client_of: ClientOf, made: Made) -> None:
    judge, client = made().judge, client_of(editor)
    client.post(url("archive", judge.pk), {"archived": "1"})
    assert Judge.objects.get().archived_at
    client.post(url("archive", judge.pk), {"archived": "0"})
    assert Judge.objects.get().archived_at is None


def sample(dataset: Callable[..., DatasetVersion]) -> DatasetVersion:
    rows = [
        {"prompt": f"What is {n}?", "references": [str(n)], "responses": {"gpt": f"<b>{n}"}} for n in range(4)
    ]
    return dataset(rows, response_models=["gpt"])


@pytest.mark.parametrize("htmx", [True, False])
def test_the_preview_shows_what_is_sent_and_what_came_back(
    editor: User, client_of: ClientOf, judge_model: RegisteredModel, dataset: Any, says: Callable[..., None],
    htmx: bool,
) -> None:  # fmt: skip
    version, client = sample(dataset), client_of(editor)
    headers = {"HX-Request": "true"} if htmx else {}
    sent = fields(judge_model, sample=version.pk, source="recorded:gpt", do="prompts")
    html = client.post(url("preview_new"), sent, headers=headers).content.decode()
    assert ("<html" in html) is not htmx
    assert "&lt;b&gt;0" in html and "is data to be judged" in html and "<b>0" not in html
    says(label="Correct", feedback="<i>Fine")
    html = client.post(url("preview_new"), sent | {"do": "ask"}, headers=headers).content.decode()
    assert html.count("Correct</span>") >= 6 and "&lt;i&gt;Fine" in html
    assert not Judge.objects.exists()


def test_the_preview_tells_what_is_wrong(
    editor: User, client_of: ClientOf, made: Made, judge_model: RegisteredModel, dataset: Any
) -> None:
    judge, version, client = made().judge, sample(dataset), client_of(editor)
    for changes, words in (
        ({"user_template": "{{ metadata.x }}{{ response }}"}, "no metadata column “x”"),
        ({"temperature": "hot"}, "Give a number."),
        ({"models": []}, "Choose the model that judges."),
    ):
        sent = fields(judge_model, sample=version.pk, do="ask", **changes)
        answer = client.post(url("preview", judge.pk), sent, headers={"HX-Request": "true"})
        assert words in answer.content.decode()


def test_the_control_set_is_asked_in_a_task(
    editor: User, client_of: ClientOf, made: Made, django_capture_on_commit_callbacks: Any,
    says: Callable[..., None], settings: Any,
) -> None:  # fmt: skip
    version, client = made(), client_of(editor)
    says(lambda body: json.dumps({"label": "Correct" if "Thought process" in str(body) else "Incorrect"}))
    htmx = {"HX-Request": "true"}
    html = client.post(url("check", version.judge_id, 1), headers=htmx).content.decode()
    assert "Asking" in html and 'hx-trigger="load delay:2s"' in html
    client.post(url("check", version.judge_id, 1))
    check = ControlCheck.objects.get()  # the one that goes on
    control_check_run(check.pk)
    html = client.get(url("controls", version.judge_id, 1)).content.decode()
    assert "7.1<small>%" in html and "[2.0, 22.6]" in html and "n&nbsp;=&nbsp;28" in html
    assert "2 false passes" in html and "hx-trigger" not in html
