"""From documents to a dataset: drafting by the engine, decisions, the version; pages and API."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from datasets.models import Item
from generation import reading
from generation.beginning import documents_of
from generation.models import Draft, DraftState, Generation, Stage
from generation.prompts import PROMPTS
from generation.reading import SILENT_AFTER, generation_read, is_silent
from generation.selectors import standing
from generation.services import (
    GenerationProblems,
    Wish,
    draft_decide,
    draft_edit,
    drafts_collect,
    generation_delete,
    generation_expect,
    generation_publish,
)
from registry.models import RegisteredModel
from runs.models import Run, RunStatus
from runs.services import run_delete
from tests.generation.conftest import DRAFTS, RIVERS, TOWNS
from workspaces.access import Access, access_for
from workspaces.models import AuditEvent, User, Workspace
from workspaces.services import Refused

Made = Callable[..., Generation]
pytestmark = pytest.mark.django_db(transaction=True)


def test_the_engine_drafts_from_passages(drafted: Made) -> None:
    files = [("towns.md", TOWNS.encode()), ("rivers.txt", RIVERS.encode())]
    generation = drafted(files, wanted=5)
    run = generation.run
    assert run and run.total == 2
    items = Item.objects.filter(version=run.dataset_version).order_by("position")
    assert [(item.section, item.metadata["count"]) for item in items] == [("towns.md", 2), ("rivers.txt", 3)]
    drafts = list(generation.drafts.all())
    assert [(draft.document, draft.passage) for draft in drafts][::2] == [("towns.md", 1), ("rivers.txt", 1)]
    assert [draft.similar_to for draft in drafts] == [None, None, 1, 2]
    found = standing(generation)
    assert (found.drafts, found.open_similar, found.goes_on) == (4, 2, False)
    assert drafts_collect(generation) == 0


def test_what_cannot_be_read_is_said(drafted: Made) -> None:
    generation = drafted(drafts="I would rather not.")
    assert not generation.drafts.exists()
    assert generation.unread == [(1, "there is no JSON in the response")]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": " "}, "name"),
        ({"model_id": None}, "model"),
        ({"model_id": 10**9}, "model"),
        ({"template": "{{ secret }"}, "template"),
        ({"wanted": 0}, "wanted"),
        ({"passage_characters": 10}, "passage_characters"),
        ({"files": [("a.exe", b"x"), ("b.txt", b"")]}, "files"),
        ({"files": [("a.txt", b"x"), ("x/a.txt", b"y")]}, "files"),
        ({"files": [(f"{number}.txt", b"x" * (18 << 20)) for number in range(6)]}, "files"),
        ({"token_ceiling": -1}, "token_ceiling"),
    ],
)
def test_a_wrong_wish_begins_nothing(begun: Made, wish: dict[str, Any], field: str) -> None:
    with pytest.raises(GenerationProblems) as refused:
        begun(**wish)
    assert field in refused.value.problems
    assert not Generation.objects.exists()


def test_approved_drafts_become_a_version(drafted: Made, alpha_access: Access) -> None:
    generation = drafted()
    first, second = generation.drafts.all()
    with pytest.raises(Refused, match="Approve"):
        generation_publish(alpha_access, generation)
    draft_decide(alpha_access, first, DraftState.DROPPED)
    draft_edit(
        alpha_access, second, question="Where does it begin?", reference="Alps", choices=["Alps", "Sea"]
    )
    made = generation_publish(alpha_access, generation, note="by hand")
    item = made.version.items.get()
    assert (item.prompt, item.references, item.choices) == ("Where does it begin?", ["Alps"], ["Alps", "Sea"])
    assert item.metadata == {
        "document": "towns.md", "passage": 1, "drafted_by": "stub-model", "generation": generation.pk,
        "edited": True,
    }  # fmt: skip
    assert (made.version.dataset.name, made.version.note, item.section) == (
        "Geography",
        "by hand",
        "towns.md",
    )
    assert not generation_publish(alpha_access, generation).created
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"generation.begin", "generation.publish"} <= actions


def test_an_edit_needs_words(drafted: Made, alpha_access: Access) -> None:
    draft = drafted().drafts.first()
    for words in (
        {"question": " ", "reference": "x"},
        {"question": "x", "reference": "\0"},
        {"question": "x", "reference": "y", "choices": ["one"]},
    ):
        with pytest.raises(Refused):
            draft_edit(alpha_access, draft, **words)
    draft.refresh_from_db()
    assert draft.state == DraftState.OPEN and not draft.edited


def test_drafts_outlive_their_run(drafted: Made, alpha_access: Access) -> None:
    generation = drafted()
    assert generation.run
    generation.run.refresh_from_db()
    run_delete(alpha_access, generation.run)
    generation.refresh_from_db()
    assert standing(generation).run is None and generation.drafts.count() == 2
    assert drafts_collect(generation) == 0


# Pages


def test_the_pages_lead_from_documents_to_a_dataset(
    drafted: Made, client_of: Callable[[User], Client], editor: User
) -> None:
    client, generation = client_of(editor), drafted()
    url = f"/w/alpha/datasets/generate/{generation.pk}/"
    page = client.get(url)
    assert b"On which river does Vienna lie?" in page.content and b"towns.md, passage 1" in page.content
    one = client.post(f"{url}drafts/1/", {"action": "approve"}, headers={"HX-Request": "true"})
    assert (
        b"<html" not in one.content and b"Approved" in one.content and b"Make a version of 1" in one.content
    )
    edit = client.get(f"{url}drafts/2/", headers={"HX-Request": "true"})
    assert b"<textarea" in edit.content and b"<html" not in edit.content
    bad = client.post(f"{url}drafts/2/", {"action": "edit", "question": "", "reference": "kept"})
    assert bad.status_code == 422 and b"kept" in bad.content
    client.post(f"{url}drafts/2/", {"action": "edit", "question": "<b>?", "reference": "R"})
    assert b"&lt;b&gt;?" in client.get(f"{url}?show=approved").content
    made = client.post(f"{url}publish/", {"name": "Rivers", "note": ""})
    dataset = Generation.objects.get(pk=generation.pk).version.dataset  # type: ignore[union-attr]
    assert b"Drafted by stub-model" in client.get(made["Location"]).content
    offered = client.get("/w/alpha/runs/launch/").context["launch_form"].versions
    assert [version.dataset.name for version in offered] == ["Rivers", "Geography (passages)"]
    assert made["Location"] == f"/w/alpha/datasets/{dataset.pk}/" and dataset.name == "Rivers"
    assert b"Geography" in client.get("/w/alpha/datasets/generate/").content
    assert client.get(f"{url}drafts/99/").status_code == 404


def test_many_are_decided_at_once(
    drafted: Made, client_of: Callable[[User], Client], editor: User, viewer: User
) -> None:
    generation = drafted(drafts=[*DRAFTS, DRAFTS[0]])
    url = f"/w/alpha/datasets/generate/{generation.pk}/"
    assert client_of(viewer).post(f"{url}decide/", {"what": "approve"}).status_code == 403
    client = client_of(editor)
    for what, expected in (
        ("nonsense", {"open": 3}),
        ("approve_distinct", {"approved": 2, "open": 1}),
        ("drop_similar", {"approved": 2, "dropped": 1}),
    ):
        client.post(f"{url}decide/", {"what": what})
        states = list(Draft.objects.values_list("state", flat=True))
        assert {state: states.count(state) for state in states} == expected
    assert b"Nothing left to decide" in client.get(url).content


def test_the_form_begins_or_says_what_is_wrong(
    model: Callable[..., RegisteredModel], client_of: Callable[[User], Client], editor: User
) -> None:
    client, chosen = client_of(editor), model()
    url = "/w/alpha/datasets/generate/"
    unchanged = PROMPTS["facts"].template.replace("\n", "\r\n")
    wish = {"name": "Towns", "model": chosen.pk, "prompt": "reasoning", "wanted": "2", "template": unchanged}
    assert client.post(url, wish).status_code == 422
    broken = client.post(url, wish | {"files": [SimpleUploadedFile("a.pdf", b"x")], "wanted": "x"})
    assert broken.status_code == 422
    unread = client.post(url, wish | {"files": [SimpleUploadedFile("a.pdf", b"x")]}, follow=True)
    assert b"The documents are being read" in unread.content and b"0 of 1 document" in unread.content
    refused = Generation.objects.get()
    generation_read(refused.pk)
    polled = client.get(f"{refused.get_absolute_url()}progress/").content
    assert b"These documents cannot be used" in polled and b'hx-swap-oob="true"' in polled
    page = client.get(refused.get_absolute_url()).content
    assert b"a.pdf: it cannot be read" in page and b"Begin again" in page and b"every 2s" not in page
    refused.delete()
    files = [SimpleUploadedFile("a.txt", TOWNS.encode()), SimpleUploadedFile("b.html", b"<p>Linz</p>")]
    wish["once"] = client.get(url).context["once"]
    done = client.post(url, wish | {"files": files})
    generation = Generation.objects.get()
    for file in files:
        file.seek(0)
    assert client.post(url, wish | {"files": files})["Location"] == done["Location"], "a double click"
    assert Generation.objects.count() == 1
    assert b"every 2s" in client.get(f"{url}{generation.pk}/progress/").content
    generation_read(generation.pk)
    generation.refresh_from_db()
    assert [each["passages"] for each in generation.documents] == [1, 1]
    assert done["Location"] == f"{url}{generation.pk}/" and "putting together" in generation.template
    assert b"The model is drafting" in client.get(f"{url}{generation.pk}/").content
    assert b"every 2s" in client.get(f"{url}{generation.pk}/progress/").content
    assert b"Query generation" in client.get("/w/alpha/datasets/upload/").content


def test_the_list_costs_the_same_however_long(
    begun: Made, client_of: Callable[[User], Client], editor: User, django_assert_max_num_queries: Any
) -> None:
    for _ in range(3):
        begun()
    client = client_of(editor)
    with django_assert_max_num_queries(14):
        client.get("/w/alpha/datasets/generate/")


def test_readers_that_die_are_replaced_and_leave_no_files(
    model: Callable[..., RegisteredModel], alpha: Workspace, editor: User
) -> None:
    held, silent = access_for(editor, "alpha"), timezone.now() - SILENT_AFTER - timedelta(seconds=1)
    priced = model(input_price=Decimal(1), output_price=Decimal(1))
    wish = Wish(name="Towns", files=[("a.txt", TOWNS.encode())], model_id=priced.pk, cost_ceiling=Decimal(2))
    generation = generation_expect(held, wish)
    Generation.objects.update(attempt=1, alive_at=timezone.now())
    generation_read(generation.pk)
    assert Generation.objects.get().stage == Stage.READING and generation.folder.exists()
    Generation.objects.update(alive_at=silent)
    assert is_silent(Generation.objects.get())
    generation_read(generation.pk)
    generation.refresh_from_db()
    assert (generation.stage, generation.attempt, generation.read_count) == (Stage.DRAFTING, 2, 1)
    assert generation.run and generation.run.total == 1 and not generation.folder.exists()
    generation_read(generation.pk)
    assert Run.objects.count() == 1

    lost = generation_expect(held, wish)
    Generation.objects.filter(pk=lost.pk).update(attempt=3, alive_at=silent)
    generation_read(lost.pk)
    lost.refresh_from_db()
    assert lost.stage == Stage.REFUSED and "lost three times" in lost.problems[0]
    assert not lost.folder.exists()


def test_a_reader_that_was_replaced_or_given_up_launches_nothing(
    model: Callable[..., RegisteredModel], alpha: Workspace, editor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = access_for(editor, "alpha")
    wish = Wish(name="Towns", files=[("a.txt", TOWNS.encode())], model_id=model().pk)

    def while_read(change: Callable[[], Any]) -> None:
        def documents(*given: Any) -> Any:
            read = documents_of(*given)
            change()
            return read

        monkeypatch.setattr(reading, "documents_of", documents)

    generation = generation_expect(held, wish)
    while_read(lambda: Generation.objects.update(attempt=2))
    generation_read(generation.pk)
    assert not Run.objects.exists() and Generation.objects.get().stage == Stage.READING
    assert generation.folder.exists(), "the other reader needs them"

    Generation.objects.update(alive_at=None)
    while_read(lambda: generation_delete(held, generation))
    generation_read(generation.pk)
    assert not Run.objects.exists() and not generation.folder.exists()


def test_drafts_are_deleted_once_the_words_are_typed(
    drafted: Made, client_of: Callable[[User], Client], editor: User
) -> None:
    generation, client = drafted(), client_of(editor)
    url = f"/w/alpha/datasets/generate/{generation.pk}/delete/"
    assert f"delete {generation.pk}" in client.get(url).content.decode()
    assert client.post(url, {"confirm": "delete"}).status_code == 422
    assert Generation.objects.exists()
    client.post(url, {"confirm": f"delete {generation.pk}"})
    assert not Generation.objects.exists() and Run.objects.exists()


# The API


def test_the_api_does_all_of_it(
    drafted: Made, model: Callable[..., RegisteredModel], client_of: Callable[[User], Client], editor: User
) -> None:
    client = client_of(editor)
    client.defaults["HTTP_X_WORKSPACE"] = "alpha"
    url = "/api/v1/generations"
    file = BytesIO(TOWNS.encode())
    file.name = "towns.txt"
    begun = client.post(url, {"name": "Towns", "model_id": model().pk, "wanted": 3, "files": [file]})
    assert begun.status_code == 202 and begun.json()["drafts"]["goes_on"]
    assert (begun.json()["stage"], begun.json()["run"]) == ("reading", None)
    generation_read(begun.json()["id"])
    assert client.get(f"{url}/{begun.json()['id']}").json()["stage"] == "drafting"
    assert client.post(url, {"name": "Towns"}).status_code == 400

    generation = drafted()
    one = f"{url}/{generation.pk}"
    assert client.get(one).json()["drafts"]["open"] == 2
    assert len(client.get(url).json()["results"]) == 2
    rows = client.get(f"{one}/drafts", {"show": "open"}).json()["results"]
    assert [row["number"] for row in rows] == [1, 2]

    def patch(number: int, body: Any) -> Any:
        return client.patch(f"{one}/drafts/{number}", json.dumps(body), content_type="application/json")

    assert patch(1, {"reference": "Danube"}).json()["state"] == "approved"
    assert patch(1, {"question": "x" * 30_000}).status_code == 409
    assert patch(2, {"state": "dropped"}).json()["state"] == "dropped"
    assert patch(9, {}).status_code == 404
    published = client.post(f"{one}/publish", {}, content_type="application/json").json()
    assert (published["items"], published["created"]) == (1, True)
    patch(2, {"state": "open"})
    assert client.post(f"{one}/approve", {}, content_type="application/json").json() == {"count": 1}
    assert client.delete(one).status_code == 204
    assert not Generation.objects.filter(pk=generation.pk).exists()


def test_a_run_that_goes_on_is_told(begun: Made, alpha_access: Access) -> None:
    generation = begun()
    assert generation.run and generation.run.status == RunStatus.PENDING
    assert standing(generation).goes_on
