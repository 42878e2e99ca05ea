"""The launch sheet: as dialog and as page, forecast, errors beside fields, run again."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from datasets.models import DatasetVersion, Item
from judges.models import JudgeVersion
from registry.models import RegisteredModel
from runs.models import Run
from workspaces.models import User

pytestmark = pytest.mark.django_db
LAUNCH = "/w/alpha/runs/launch/"
PLAN = "/w/alpha/runs/launch/plan/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def client(client_of: Callable[[User], Client], editor: User) -> Client:
    return client_of(editor)


@pytest.fixture
def wish(dataset: Callable[..., DatasetVersion], model: Callable[..., RegisteredModel]) -> dict[str, Any]:
    return {
        "dataset_version": dataset(10).pk,
        "models": [model().pk],
        "responses": "fresh",
        "scorers": ["numeric"],
        "numeric.last_number": "on",
        "template": "{{ input }}",
        "epochs": "1",
        "max_failures": "5",
    }


def test_it_opens_as_dialog_over_the_board_or_as_page(client: Client, wish: dict[str, Any]) -> None:
    page, dialog = client.get(LAUNCH), client.get(LAUNCH, headers=HTMX)
    over = client.get("/w/alpha/runs/?launch=1")
    assert b"<html" in page.content and b"<dialog" not in page.content
    assert dialog.content.lstrip().startswith(b"<dialog") or b'<dialog class="sheet"' in dialog.content
    assert b'<dialog class="sheet"' in over.content and b'id="board"' not in dialog.content


def test_a_new_sheet_chooses_what_is_plain(client: Client, wish: dict[str, Any]) -> None:
    form = client.get(LAUNCH).context["launch_form"]
    assert form.version.pk == wish["dataset_version"]
    assert form.chosen_models == {str(wish["models"][0])}
    assert [slot.key for slot in form.slots if slot.chosen] == ["numeric"]


def test_it_launches_one_run_a_model(
    client: Client, wish: dict[str, Any], model: Callable[..., RegisteredModel]
) -> None:
    second = model(name="stub-model-b")
    more = {"alias": "trial", "label": "nightly", "temperature": "0.5", "stop": "END\n\nSTOP", "limit": "4",
            "extra_body": '{"top_k": 40}', "epochs": "2"}  # fmt: skip
    answer = client.post(LAUNCH, wish | more | {"models": [wish["models"][0], second.pk]})
    runs = list(Run.objects.order_by("id"))
    assert answer.status_code == 302 and answer["Location"] == f"/w/alpha/runs/#run-{runs[-1].pk}"
    assert [(run.total, run.label) for run in runs] == [(8, "nightly")] * 2
    params = runs[0].config["params"]
    assert (params["temperature"], params["stop"], params["extra_body"]) == (
        0.5,
        ["END", "STOP"],
        {"top_k": 40},
    )
    assert client.post(LAUNCH, wish, headers=HTMX)["HX-Redirect"].startswith("/w/alpha/runs/#run-")


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"models": []}, "models", "Choose at least one model"),
        ({"models": ["999999"]}, "models", "999999"),
        ({"dataset_version": ""}, "dataset_version", "required"),
        ({"temperature": "hot"}, "temperature", "Enter a number"),
        ({"temperature": "9"}, "temperature", "From 0 to 2"),
        ({"concurrency": "1000"}, "concurrency", "allows 64 at most"),
        ({"epochs": "0"}, "epochs", "From 1"),
        ({"extra_body": "{"}, "extra_body", "Not JSON"),
        ({"extra_body": "[1]"}, "extra_body", "A JSON object"),
        ({"extra_body": '{"model": "x"}'}, "extra_body", "model"),
        ({"template": "{{ input"}, "template", ""),
        ({"template": "{{ references }}"}, "template", ""),
        ({"alias": "a" * 121}, "alias", "120"),
        ({"scorers": []}, "__all__", "at least one scorer"),
        ({"responses": "other"}, "responses", ""),
    ],
)
def test_errors_stand_beside_their_fields_and_nothing_is_launched(
    wrong: dict[str, Any], field: str, words: str, client: Client, wish: dict[str, Any]
) -> None:
    answer = client.post(LAUNCH, wish | wrong)
    form = answer.context["launch_form"]
    assert answer.status_code == 422 and not Run.objects.exists()
    assert words in " ".join(form.errors[field])
    if field != "__all__":
        assert f"{form.errors[field][0][:20]}" in answer.content.decode().replace("&#x27;", "'").replace(
            "&quot;", '"'
        )


def test_a_wrong_option_is_told_at_the_option(client: Client, wish: dict[str, Any]) -> None:
    answer = client.post(LAUNCH, wish | {"numeric.absolute_tolerance": "much"})
    slot = next(slot for slot in answer.context["launch_form"].slots if slot.key == "numeric")
    assert answer.status_code == 422
    assert [entry.error for entry in slot.inputs if entry.error] == ["'much' is not a number"]


def test_an_unticked_option_is_off(client: Client, wish: dict[str, Any]) -> None:
    wish.pop("numeric.last_number")
    client.post(LAUNCH, wish)
    assert Run.objects.get().config["scorers"][0]["options"]["last_number"] is False


def test_the_first_chosen_scorer_comes_first(client: Client, wish: dict[str, Any]) -> None:
    client.post(LAUNCH, wish | {"scorers": ["includes", "numeric"]})
    assert Run.objects.get().scorer_names == ["includes", "numeric"]


def test_the_forecast_tells_calls_cost_and_precision(client: Client, wish: dict[str, Any]) -> None:
    html = client.post(PLAN, wish, headers=HTMX).content.decode()
    assert "<dd>10</dd>" in html and "no price is registered" in html and "95% CI of ±" in html
    assert 'id="launch-preview" class="block" hx-swap-oob="true"' in html and "What is 1 + 1?" in html
    assert not Run.objects.exists()


def test_the_forecast_says_what_stands_in_the_way(client: Client, wish: dict[str, Any]) -> None:
    html = client.post(PLAN, wish | {"concurrency": "1000"}, headers=HTMX).content.decode()
    assert "allows 64 at most" in html
    nothing = client.post(PLAN, {}, headers=HTMX)
    assert nothing.status_code == 200 and "Choose a dataset" in nothing.content.decode()


def test_the_preview_shows_the_template_filled_in(client: Client, wish: dict[str, Any]) -> None:
    html = client.post(PLAN, wish | {"template": "Q: {{ input }} <b>"}, headers=HTMX).content.decode()
    assert "Q: What is 1 + 1?" in html and "&lt;b&gt;" in html
    html = client.post(PLAN, wish | {"template": "{{ metadata.gone.more }}"}, headers=HTMX).content.decode()
    assert "The template failed" in html


def test_the_forecast_names_the_field_of_each_problem(client: Client, wish: dict[str, Any]) -> None:
    wrong = {"temperature": "-3", "max_tokens": "many", "template": "{{ input", "max_failures": "0"}
    html = client.post(PLAN, wish | wrong, headers=HTMX).content.decode()
    assert "Temperature: from 0 to 2." in html and "Max tokens: enter a whole number." in html
    assert "Prompt template: line 1" in html and "Attempts per item: from 1 to 20." in html


def test_a_dataset_with_responses_opens_the_sheet_on_them(
    client: Client, wish: dict[str, Any], dataset: Callable[..., DatasetVersion]
) -> None:
    rows = [{"prompt": "1?", "responses": {"a": "1", "b": "2"}}]
    version = dataset(rows, response_models=["a", "b"], upload_type="query_response")
    form = client.get(f"{LAUNCH}?dataset_version={version.pk}").context["launch_form"]
    assert form["responses"].value() == "recorded" and form.chosen_recorded == {"a"}
    model = wish["models"][0]
    form = client.get(f"{LAUNCH}?dataset_version={version.pk}&model={model}").context["launch_form"]
    assert form["responses"].value() == "fresh"


def test_recorded_responses_take_one_model_and_one_judge_unless_several_are_allowed(
    client: Client, dataset: Callable[..., DatasetVersion], judge: Callable[..., JudgeVersion]
) -> None:
    rows = [{"prompt": "1?", "responses": {"a": "1", "b": "2"}}]
    version = dataset(rows, response_models=["a", "b"], upload_type="query_response")
    judges = [judge().pk, judge(name="other").pk]
    wish = {
        "dataset_version": version.pk, "responses": "recorded", "recorded": ["a", "b"], "judges": judges,
    }  # fmt: skip
    form = client.post(LAUNCH, wish).context["launch_form"]
    assert form.errors["recorded"] == ["Recorded responses take one model, unless you allow several."]
    assert form.errors["judges"] == ["Recorded responses take one judge, unless you allow several."]
    assert client.post(LAUNCH, wish | {"recorded": ["a"], "judges": judges[:1]}).status_code == 302
    assert client.post(LAUNCH, wish | {"several": "1"}).status_code == 302
    assert Run.objects.filter(judged=None).count() == 3


def test_recorded_responses_are_scored_without_a_call(
    client: Client, dataset: Callable[..., DatasetVersion]
) -> None:
    version = dataset(
        [{"prompt": "1 + 1?", "references": ["2"], "responses": {"old-model": "A: 2"}}],
        response_models=["old-model"], upload_type="query_response",
    )  # fmt: skip
    shown = client.get(f"{LAUNCH}?dataset_version={version.pk}")
    assert 'name="recorded" value="old-model"' in shown.content.decode()
    assert shown.context["launch_form"]["responses"].value() == "recorded"
    wish = {
        "dataset_version": version.pk,
        "responses": "recorded",
        "recorded": ["old-model"],
        "scorers": ["numeric"],
    }
    assert client.post(LAUNCH, wish).status_code == 302
    run = Run.objects.get()
    assert (run.config["responses"], run.model and run.model.provider) == ("recorded", None)
    assert client.post(LAUNCH, wish | {"recorded": []}).context["launch_form"].errors["recorded"]


def test_run_again_starts_from_the_frozen_configuration(client: Client, wish: dict[str, Any]) -> None:
    more = {"alias": "kiwi", "label": "x", "max_tokens": "64", "stop": "A\nB", "template": "Say: {{ input }}",
            "scorers": ["includes", "numeric"], "numeric.absolute_tolerance": "0.5"}  # fmt: skip
    client.post(LAUNCH, wish | more)
    run = Run.objects.get()
    form = client.get(f"{LAUNCH}?from={run.pk}").context["launch_form"]
    assert form["template"].value() == "Say: {{ input }}" and form["max_tokens"].value() == 64
    assert form["stop"].value() == "A\nB" and form["alias"].value() == "kiwi"
    assert [slot.key for slot in form.slots if slot.chosen] == ["includes", "numeric"]
    numeric = next(slot for slot in form.slots if slot.key == "numeric")
    assert {entry.option.name: entry.value for entry in numeric.inputs}["absolute_tolerance"] == 0.5


def test_a_run_of_another_workspace_prefills_nothing(
    client: Client, wish: dict[str, Any], client_of: Callable[[User], Client], outsider: User
) -> None:
    client.post(LAUNCH, wish | {"alias": "secret-alias"})
    run = Run.objects.get()
    html = client_of(outsider).get(f"/w/beta/runs/launch/?from={run.pk}").content.decode()
    assert "secret-alias" not in html and "There is none yet" in html


def test_a_new_launch_scores_as_the_last_on_its_dataset(client: Client, wish: dict[str, Any]) -> None:
    client.post(LAUNCH, wish | {"template": "Q: {{ input }}", "scorers": ["includes"]})
    answer = client.get(LAUNCH)
    form = answer.context["launch_form"]
    assert form["template"].value() == "Q: {{ input }}"
    assert [slot.key for slot in form.slots if slot.chosen] == ["includes"]
    assert f"as in run #{Run.objects.get().pk}" in answer.content.decode()


def test_two_scorers_of_one_kind_keep_their_options(client: Client, wish: dict[str, Any]) -> None:
    twice = {"scorers": ["regex", "regex-2"], "regex.pattern": "A: (.*)", "regex-2.pattern": "B: (.*)"}
    assert client.post(LAUNCH, wish | twice).status_code == 302
    run = Run.objects.get()
    assert [scorer["options"]["pattern"] for scorer in run.config["scorers"]] == ["A: (.*)", "B: (.*)"]
    form = client.get(f"{LAUNCH}?from={run.pk}").context["launch_form"]
    assert [slot.id for slot in form.slots if slot.chosen] == ["regex", "regex-2"]


@pytest.mark.parametrize("ask", ["get", "post"])
def test_viewers_and_outsiders_cannot_launch(
    ask: str, wish: dict[str, Any], client_of: Callable[[User], Client], viewer: User, outsider: User
) -> None:
    for user, status in ((viewer, 403), (outsider, 404)):
        assert getattr(client_of(user), ask)(LAUNCH, wish).status_code == status
    assert b"<dialog" not in client_of(viewer).get("/w/alpha/runs/?launch=1").content
    assert not Run.objects.exists()


def test_a_model_of_another_workspace_is_not_offered(
    client: Client, wish: dict[str, Any], beta: Any, provider: Any, model: Callable[..., RegisteredModel]
) -> None:
    foreign = model(workspace=beta, provider=provider(workspace=beta), name="foreign-model")
    assert "foreign-model" not in client.get(LAUNCH).content.decode()
    assert client.post(LAUNCH, wish | {"models": [foreign.pk]}).status_code == 422


def test_items_that_need_choices_get_the_scorer_for_them(
    client: Client, dataset: Callable[..., DatasetVersion]
) -> None:
    version = dataset([{"prompt": "Which?", "choices": ["x", "y"], "references": ["A"]}])
    assert Item.objects.filter(version=version).exists()
    form = client.get(f"{LAUNCH}?dataset_version={version.pk}").context["launch_form"]
    assert [slot.key for slot in form.slots if slot.chosen] == ["multiple_choice"]
