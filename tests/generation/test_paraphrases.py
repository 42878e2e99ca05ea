"""Paraphrases: drafted by a run over the version, decided on by people, asked as variants."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from datasets.models import DatasetVersion, Paraphrase
from datasets.services import version_import
from datasets.services_drafts import draft_edit, draft_publish, draft_start
from generation.services_paraphrases import (
    paraphrase_approve,
    paraphrase_drop,
    paraphrases_begin,
    paraphrases_collect,
    texts_in,
)
from registry.models import RegisteredModel
from runs.engine.host import run_to_end
from runs.models import Run
from runs.selectors_items import scored_trials
from runs.selectors_variants import show_as_asked
from runs.services import Launch, LaunchProblems, launch
from tests.datasets.files import jsonl, mapping_of
from tests.runs.test_api import api_of
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access, system_access
from workspaces.models import Role, User, Workspace
from workspaces.services import Refused

Dataset = Callable[..., DatasetVersion]
Model = Callable[..., RegisteredModel]
pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def held(alpha: Workspace) -> Access:
    return system_access(alpha)


@pytest.fixture
def version(dataset: Dataset) -> DatasetVersion:
    return dataset([{"prompt": f"What is {n}?", "references": ["A"]} for n in range(1, 4)])


@pytest.fixture
def drafted(held: Access, version: DatasetVersion, model: Model, stub: StubEndpoint) -> list[Paraphrase]:
    """Two of the first item, one of the second, none of the third."""
    said = {"What is 1?": '["Say 1.", "Name 1.", "what is 1?"]', "What is 2?": 'Sure: ["Say 2."]'}
    stub.set(script=lambda body: next((a for q, a in said.items() if q in str(body["messages"])), "I can't."))
    run = paraphrases_begin(held, version, model_id=model().pk, count=2)
    run_to_end(run.pk)
    assert (paraphrases_collect(version), paraphrases_collect(version)) == (3, 0)
    return list(Paraphrase.objects.order_by("seq", "pk"))


@pytest.mark.parametrize(
    ("response", "texts"),
    [
        ('["A?", "B?"]', ["A?", "B?"]),
        ('```json\n{"paraphrases": ["A?"]}\n```', ["A?"]),
        ('[{"text": "A?"}, {"text": "B?"}]', ["A?", "B?"]),
        ("<think>[1]</think> no", []),
        ("", []),
    ],
)
def test_texts_are_read_from_what_models_write(response: str, texts: list[str]) -> None:
    found, problem = texts_in(response)
    assert (found, bool(problem)) == (texts, not texts)


def test_drafts_wait_for_a_person(drafted: list[Paraphrase], alpha: Workspace) -> None:
    assert [(each.text, str(each.state)) for each in drafted[:3]] == [
        ("Say 1.", "open"), ("Name 1.", "open"), ("Say 2.", "open"),
    ]  # fmt: skip
    assert (drafted[3].state, "no JSON" in drafted[3].text) == ("unread", True)
    assert not scored_trials(alpha).exists(), "a drafting says nothing of how hard items are"


def test_only_approved_ones_are_asked(
    drafted: list[Paraphrase], held: Access, version: DatasetVersion, model: Model, stub: StubEndpoint
) -> None:
    wish: dict[str, Any] = {
        "dataset_version_id": version.pk, "model_ids": [RegisteredModel.objects.get().pk],
        "scorers": [{"key": "exact_match"}], "variations": [{"key": "paraphrases", "options": {"count": 2}}],
    }  # fmt: skip
    with pytest.raises(LaunchProblems, match="approved paraphrase"):
        launch(held, Launch(**wish))
    paraphrase_approve(held, drafted[0])
    paraphrase_approve(held, drafted[2], "Tell me 2.")
    paraphrase_drop(held, drafted[1])
    stub.reset(text="A")
    run = launch(held, Launch(**wish)).runs.get()
    assert run.total == run.trials.count() == 3 + 2
    run_to_end(run.pk)
    asked = sorted(request["messages"][-1]["content"] for request in stub.requests)
    assert asked == ["Say 1.", "Tell me 2.", "What is 1?", "What is 2?", "What is 3?"]
    # A withdrawn one is not launched again, but the run still shows what it asked.
    paraphrase_drop(held, Paraphrase.objects.get(text="Say 1."))
    assert launch(held, Launch(**wish)).runs.get().total == 3 + 1
    trial = run.trials.select_related("item").get(epoch=2, item__position=1)
    show_as_asked(run, [trial])
    assert trial.item.prompt == "Say 1."


def test_approved_words_stay(drafted: list[Paraphrase], held: Access) -> None:
    paraphrase_approve(held, drafted[0], "Utter 1.")
    paraphrase_approve(held, drafted[1])
    kept = Paraphrase.objects.get(pk=drafted[0].pk)
    assert (kept.text, kept.number, kept.edited) == ("Utter 1.", 1, True)
    assert Paraphrase.objects.get(pk=drafted[1].pk).number == 2
    with pytest.raises(Refused, match="keeps its words"):
        paraphrase_approve(held, kept, "Another.")
    paraphrase_drop(held, kept)
    paraphrase_approve(held, kept)
    kept.refresh_from_db()
    assert (kept.state, kept.number) == ("approved", 1)


def test_the_page_drafts_and_decides(
    alpha: Workspace, editor: User, viewer: User, client_of: Callable[[User], Client],
    version: DatasetVersion, drafted: list[Paraphrase],
) -> None:  # fmt: skip
    browser, url = client_of(editor), reverse("generation:paraphrases", args=[alpha.slug, version.pk])
    assert "Say 1." in browser.get(url).content.decode()
    assert 'name="approve"' not in client_of(viewer).get(url).content.decode()
    wish = {"model": RegisteredModel.objects.get().pk, "count": 1, "once": browser.get(url).context["once"]}
    browser.post(f"{url}begin/", wish)
    runs = Run.objects.count()
    assert browser.post(f"{url}begin/", wish).headers["Location"] == url, "a double click"
    assert Run.objects.count() == runs
    browser.post(f"{url}decide/", {"approve": drafted[0].pk, "text": "Utter 1."})
    browser.post(f"{url}decide/", {"drop": drafted[1].pk, "text": ""})
    browser.post(f"{url}decide/", {"approve_all": "1", "shown": [each.pk for each in drafted]})
    states = dict(Paraphrase.objects.values_list("text", "state"))
    assert (states["Utter 1."], states["Name 1."], states["Say 2."]) == ("approved", "dropped", "approved")
    assert "Utter 1." in browser.get(url, {"show": "approved"}).content.decode()
    refused = browser.post(f"{url}begin/", {"model": "", "count": "2"}, follow=True)
    assert "Choose at least one model" in refused.content.decode()
    asked = {"model": RegisteredModel.objects.get().pk, "count": "1", "limit": "2"}
    browser.post(f"{url}begin/", asked)
    made = Run.objects.latest("pk")
    assert made.total == 2
    # A second click drafts nothing more; another wish does, and so does the same once that is long over.
    assert (
        f"Run #{made.pk} drafts the same" in browser.post(f"{url}begin/", asked, follow=True).content.decode()
    )
    assert Run.objects.latest("pk") == made
    browser.post(f"{url}begin/", asked | {"limit": "1"})
    assert Run.objects.latest("pk").total == 1
    Run.objects.filter(pk=made.pk).update(
        status="completed", created_at=timezone.now() - timedelta(minutes=5)
    )
    browser.post(f"{url}begin/", asked)
    assert Run.objects.latest("pk").total == 2 and Run.objects.latest("pk") != made


def test_they_follow_items_that_did_not_change(
    drafted: list[Paraphrase], held: Access, version: DatasetVersion, model: Model, tmp_path: Path
) -> None:
    """Into a draft's version and an import's, with their numbers; not those of an item that was edited."""
    for each in drafted[:3]:
        paraphrase_approve(held, each)
    paraphrase_drop(held, drafted[0])
    draft = draft_start(held, version)
    draft_edit(held, draft, 2, {"references": ["B"]})
    edited = draft_publish(held, draft)
    path = tmp_path / "next.jsonl"
    path.write_bytes(jsonl([{"q": "New?", "r": "A"}, {"q": "What is 2?", "r": "A"}]))
    imported = version_import(
        held, path=path, source_name="next.jsonl", mapping=mapping_of("q=prompt", "r=reference"),
        dataset_name=version.dataset.name,
    ).version  # fmt: skip
    assert edited is not None and (edited.number, imported.number) == (2, 3)

    def carried(of: DatasetVersion) -> list[tuple[int, int | None, str, str]]:
        rows = Paraphrase.objects.filter(item__version=of).order_by("item", "number")
        return [(row.item.position, row.number, row.state, row.text) for row in rows]

    assert carried(edited) == [(1, 1, "withdrawn", "Say 1."), (1, 2, "approved", "Name 1.")]
    assert carried(imported) == [(2, 1, "approved", "Say 2.")]
    wish = Launch(
        dataset_version_id=edited.pk, model_ids=[RegisteredModel.objects.get().pk],
        scorers=[{"key": "exact_match"}], variations=[{"key": "paraphrases", "options": {"count": 2}}],
    )  # fmt: skip
    assert launch(held, wish).runs.get().total == 3 + 1


def test_scripts_draft_list_and_decide(
    drafted: list[Paraphrase], version: DatasetVersion, alpha: Workspace, editor: User, viewer: User
) -> None:
    api, path = api_of(editor, alpha), f"/versions/{version.pk}/paraphrases"
    rows = api.read(f"{path}?state=open")["results"]
    assert [(row["position"], row["prompt"], row["text"]) for row in rows] == [
        (1, "What is 1?", "Say 1."), (1, "What is 1?", "Name 1."), (2, "What is 2?", "Say 2."),
    ]  # fmt: skip
    first, second, _ = (f"{path}/{row['id']}" for row in rows)
    approved = api.ask("PATCH", first, {"state": "approved", "text": "Utter 1."}).json()
    assert (approved["text"], approved["number"], approved["edited"]) == ("Utter 1.", 1, True)
    assert api.ask("PATCH", first, {"state": "approved", "text": "Else."}).status_code == 409
    assert api.ask("PATCH", first, {"state": "dropped"}).json()["state"] == "withdrawn"
    assert api.ask("PATCH", second, {"state": "dropped"}).json()["state"] == "dropped"
    assert api.ask("PATCH", second, {"state": "open"}).status_code == 400
    [unread] = api.read(f"{path}?state=unread")["results"]
    assert api.ask("PATCH", f"{path}/{unread['id']}", {"state": "approved"}).status_code == 409
    wish = {"model_id": RegisteredModel.objects.get().pk, "count": 1}
    begun = api.ask("POST", path, wish)
    assert begun.status_code == 202 and Run.objects.get(pk=begun.json()["run"]).total == 3
    again = api.ask("POST", path, wish)
    assert again.status_code == 409 and "drafts the same" in again.json()["detail"]
    assert api.ask("GET", f"{path}?state=none").status_code == 400
    reader = api_of(viewer, alpha, role=Role.VIEWER)
    assert len(reader.read(path)["results"]) == 4
    assert reader.ask("PATCH", second, {"state": "approved"}).status_code == 403
    assert reader.ask("POST", path, wish).status_code == 403
