"""Data of a hub by name, and well-known benchmarks in one click, from the hub and from a file."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.utils import timezone

from benchmarks.models import Benchmark
from catalogue import services
from catalogue.entries import ENTRIES, Entry
from catalogue.fetching import Arrival, entry_run, fetch_run, lost_uploads
from catalogue.hub import Place, token_for
from catalogue.tasks import sweep
from datasets.drafts import draft_of
from datasets.models import DatasetVersion, Item, Upload, UploadState
from datasets.uploading import SILENT_AFTER, ImportStopped
from judges.asking import judge_messages
from judges.models import frozen
from judges.scorers import SCORERS
from judges.templating import check_template, render
from registry.models import RegisteredModel
from tests.catalogue.conftest import Hub, parquet
from tests.conftest import SHARED
from workspaces.access import Access, access_for
from workspaces.models import AuditEvent, Role, User, Workspace

Clients = Callable[[User], Client]
GSM8K = [{"question": f"{n} + 1?", "answer": f"#### {n + 1}"} for n in range(3)]
ROWS: dict[str, dict[str, Any]] = {
    "gsm8k": GSM8K[0],
    "mmlu": {"question": "q", "choices": ["a", "b", "c", "d"], "answer": 2, "subject": "law"},
    "arc-challenge": {
        "id": "Q1", "question": "q", "choices": {"text": ["a", "b"], "label": ["1", "2"]}, "answerKey": "2",
    },
    "hellaswag": {
        "ctx": "He", "endings": ["a", "b"], "label": "1", "activity_label": "x", "source_id": "s",
        "split_type": "indomain",
    },
    "truthfulqa": {"question": "q", "mc1_targets": {"choices": ["a", "b", "c"], "labels": [0, 0, 1]}},
    "humaneval": {
        "task_id": "H/0", "prompt": "def f():", "canonical_solution": "return 1", "test": "t",
        "entry_point": "f",
    },
    "ifeval": {"key": 1, "prompt": "p", "instruction_id_list": ["x"], "kwargs": [{"n": 1}]},
    "mt-bench": {"prompt_id": 1, "category": "writing", "prompt": ["one", "two"], "reference": []},
}  # fmt: skip
LETTER = {"mmlu": "C", "arc-challenge": "B", "hellaswag": "B", "truthfulqa": "C"}


@pytest.fixture
def editing(alpha: Workspace, editor: User) -> Access:
    return Access(workspace=alpha, role=Role.EDITOR, user=editor)


@pytest.mark.parametrize("key", list(ENTRIES))
def test_every_entry_fits_its_data_and_its_scorers(key: str) -> None:
    entry: Entry = ENTRIES[key]
    assert not entry.mapping.problems()
    entry.place.check()
    draft, problems = draft_of(1, ROWS[key], entry.mapping)
    assert not problems
    assert draft.prompt
    if key in LETTER:
        assert draft.references == [LETTER[key]]
    check_template(entry.template)
    asked = render(entry.template, {"input": draft.prompt, "choices": draft.choices})
    assert all(choice in asked for choice in [draft.prompt, *draft.choices])
    assert all(scorer["key"] in SCORERS for scorer in entry.scorers)
    assert entry.scorers or entry.rubric
    assert entry.scored_by and entry.metric and entry.tells


def test_one_click_imports_the_data_and_prepares_the_benchmark(hub: Hub, editing: Access) -> None:
    hub.hold("openai/gsm8k", "main", "test", [parquet(GSM8K)])
    upload = services.entry_fetch(editing, ENTRIES["gsm8k"])
    assert services.entry_fetch(editing, ENTRIES["gsm8k"]) == upload, "a double click"
    fetch_run(upload.pk)
    upload.refresh_from_db()
    assert (upload.state, upload.problems) == (UploadState.DONE, [])
    version = DatasetVersion.objects.get(dataset__name="GSM8K")
    assert (version.item_count, version.origin["commit"]) == (3, "c0ffee")
    assert (version.origin["repo"], version.origin["split"]) == ("openai/gsm8k", "test")
    part = Benchmark.objects.get(name="GSM8K").parts.get()
    assert (part.version, part.scorers[0]["key"]) == (version, "numeric")
    fetch_run(upload.pk)
    assert Benchmark.objects.count() == 1


def test_several_files_and_a_revision(hub: Hub, editing: Access) -> None:
    files = {f"data/test-0000{n}-of-00002.parquet": parquet([row]) for n, row in enumerate(GSM8K[:2])}
    hub.hold_revision("me/sums", "v1", files | {"data/train-00000.parquet": b"", "README.md": b""})
    upload = services.place_fetch(editing, Place("me/sums", revision="v1"))
    fetch_run(upload.pk)
    upload.refresh_from_db()
    assert (upload.state, upload.format) == (UploadState.CHECKING, "zip")
    assert [one["use"] for one in upload.mapping["fields"]] == ["prompt", "reference"]


def test_what_is_not_there_is_said(hub: Hub, editing: Access, editor: User, client_of: Clients) -> None:
    hub.hold("openai/gsm8k", "main", "train", [parquet(GSM8K)])
    upload = services.entry_fetch(editing, ENTRIES["gsm8k"])
    fetch_run(upload.pk)
    upload.refresh_from_db()
    assert upload.state == UploadState.REFUSED
    assert upload.problems[0]["reason"] == "openai/gsm8k has no split 'test'; it has train."
    page = client_of(editor).get(f"/w/alpha/datasets/upload/{upload.pk}/progress/", follow=True)
    assert "it has train." in page.content.decode()
    assert not Upload.objects.exists()


@pytest.mark.parametrize("where", ["http://10.0.0.1/x.parquet", "file:///etc/passwd"])
def test_a_hub_leads_nowhere_else(hub: Hub, editing: Access, where: str) -> None:
    hub.hold("openai/gsm8k", "main", "test", [parquet(GSM8K)])
    hub.pages["/api/datasets/openai/gsm8k/parquet/main/test/0.parquet"] = where
    upload = services.entry_fetch(editing, ENTRIES["gsm8k"])
    fetch_run(upload.pk)
    upload.refresh_from_db()
    assert upload.state == UploadState.REFUSED
    assert not DatasetVersion.objects.exists()


@pytest.mark.parametrize("values", [{"repo": "../x"}, {"repo": "a/b/c"}, {"repo": "a/b", "split": "a/b"}])
def test_places_are_checked(editing: Access, hub: Hub, values: dict[str, str]) -> None:
    with pytest.raises(services.BadPlace):
        services.place_fetch(editing, Place(**values))
    assert not hub.asked


def test_pages_without_a_hub_take_a_file(
    alpha: Workspace, editor: User, viewer: User, client_of: Clients, settings: Any
) -> None:
    settings.HUB_URL = ""
    client = client_of(editor)
    page = client.get("/w/alpha/datasets/catalogue/").content.decode()
    assert "EVALPORTAL_HUB_URL" in page
    assert "From a file" not in client_of(viewer).get("/w/alpha/datasets/catalogue/").content.decode()
    file = SimpleUploadedFile("test.parquet", parquet([ROWS["mmlu"]]))
    answer = client.post("/w/alpha/datasets/catalogue/mmlu/", {"file": file})
    upload = Upload.objects.get()
    assert answer.headers["Location"] == f"/w/alpha/datasets/upload/{upload.pk}/progress/"
    entry_run(upload.pk)
    item = Item.objects.get(version__dataset__name="MMLU")
    assert (item.section, item.references) == ("law", ["C"])
    assert Benchmark.objects.get(name="MMLU").parts.get().version == item.version
    again = client.post("/w/alpha/datasets/catalogue/mmlu/", follow=True)
    assert "No hub is set" in again.content.decode()


def test_the_api_fetches_by_name(hub: Hub, editor: User, client_of: Clients) -> None:
    hub.hold("me/sums", "default", "test", [parquet(GSM8K)])
    client, space = client_of(editor), {"X-Workspace": "alpha"}
    listed = client.get("/api/v1/catalogue", headers=space).json()
    assert [one["key"] for one in listed] == list(ENTRIES)
    answer = client.post("/api/v1/hub", {"repo": "me/sums"}, content_type="application/json", headers=space)
    assert answer.status_code == 202, answer.content
    where = answer.headers["Location"]
    fetch_run(answer.json()["id"])
    assert client.get(where, headers=space).json()["state"] == "checking"
    begun = client.post(f"{where}/import", {}, content_type="application/json", headers=space)
    assert begun.status_code == 202
    bad = client.post("/api/v1/hub", {"repo": "../x"}, content_type="application/json", headers=space)
    assert bad.status_code == 400


# A hub that wants a token


def test_a_token_goes_to_the_hub_alone(hub: Hub, elsewhere: Hub, editing: Access, owner: User) -> None:
    hub.hold("openai/gsm8k", "main", "test", [parquet(GSM8K)])
    hub.wants = "hf_secret"
    path = "/api/datasets/openai/gsm8k/parquet/main/test/0.parquet"
    hub.pages[path] = f"{elsewhere.url}/bytes"
    elsewhere.pages["/bytes"] = parquet(GSM8K)
    refused = services.entry_fetch(editing, ENTRIES["gsm8k"])
    fetch_run(refused.pk)
    refused.refresh_from_db()
    assert refused.state == UploadState.REFUSED
    services.hub_token_set(access_for(owner, "alpha"), " hf_secret ")
    upload = services.entry_fetch(editing, ENTRIES["gsm8k"])
    fetch_run(upload.pk)
    upload.refresh_from_db()
    assert upload.state == UploadState.DONE, upload.problems
    assert hub.bearers[path] == "Bearer hf_secret"
    assert elsewhere.bearers == {"/bytes": ""}


def test_a_listed_address_elsewhere_gets_no_token(
    hub: Hub, elsewhere: Hub, editing: Access, settings: Any
) -> None:
    settings.HUB_TOKEN = "operators"
    hub.wants = "operators"
    hub.hold("openai/gsm8k", "main", "test", [parquet(GSM8K)])
    hub.pages["/api/datasets/openai/gsm8k/parquet"] = {"main": {"test": [f"{elsewhere.url}/bytes"]}}
    elsewhere.pages["/bytes"] = parquet(GSM8K)
    upload = services.entry_fetch(editing, ENTRIES["gsm8k"])
    fetch_run(upload.pk)
    upload.refresh_from_db()
    assert upload.state == UploadState.DONE, upload.problems
    assert elsewhere.bearers == {"/bytes": ""}


def test_a_token_is_sealed_and_bound_to_its_hub(
    hub: Hub, alpha: Workspace, owner: User, editor: User, client_of: Clients, settings: Any
) -> None:
    url = "/w/alpha/datasets/catalogue/"
    page = client_of(owner).post(f"{url}hub/token/", {"token": "hf_secret"}, follow=True).content.decode()
    assert "This workspace has a token" in page and "hf_secret" not in page
    assert "Access token" not in client_of(editor).get(url).content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM catalogue_hubtoken")
        assert "hf_secret" not in cursor.fetchone()[0]
    assert token_for(alpha) == "hf_secret"
    settings.HUB_URL = "https://hub.example.com"
    settings.HUB_TOKEN = "operators"
    assert token_for(alpha) == "operators"
    settings.HUB_URL = hub.url
    client_of(owner).post(f"{url}hub/token/", {"remove": "1"})
    assert token_for(alpha) == "operators"
    assert "hf_secret" not in str([*AuditEvent.objects.values()])
    bad = client_of(owner).post(f"{url}hub/token/", {"token": "a\nb"}, follow=True)
    assert "without spaces" in bad.content.decode()


# Workers that die


def silent(upload: Upload, **values: Any) -> None:
    long_ago = timezone.now() - SILENT_AFTER - timedelta(seconds=1)
    Upload.objects.filter(pk=upload.pk).update(alive_at=long_ago, **values)


def test_a_fetch_whose_worker_died_is_taken_up_again(hub: Hub, editing: Access) -> None:
    hub.hold("openai/gsm8k", "main", "test", [parquet(GSM8K)])
    upload = services.entry_fetch(editing, ENTRIES["gsm8k"])
    Upload.objects.filter(pk=upload.pk).update(attempt=1)
    fetch_run(upload.pk)
    assert not hub.asked and not lost_uploads(UploadState.FETCHING)
    silent(upload)
    assert lost_uploads(UploadState.FETCHING) == [upload]
    fetch_run(upload.pk)
    upload.refresh_from_db()
    assert (upload.state, upload.attempt) == (UploadState.DONE, 3)  # the import counts, too


def test_a_worker_that_was_thought_dead_changes_nothing(hub: Hub, editing: Access) -> None:
    hub.hold("openai/gsm8k", "main", "test", [parquet(GSM8K)])
    upload = services.entry_fetch(editing, ENTRIES["gsm8k"])
    Upload.objects.filter(pk=upload.pk).update(attempt=1)
    upload.refresh_from_db()
    late = Arrival(upload)
    silent(upload, attempt=2)
    with pytest.raises(ImportStopped):
        late(0, 1, 10)


def test_a_fetch_that_costs_three_workers_is_refused(hub: Hub, editing: Access) -> None:
    upload = services.entry_fetch(editing, ENTRIES["gsm8k"])
    silent(upload, attempt=3)
    assert not lost_uploads(UploadState.FETCHING)
    upload.refresh_from_db()
    assert upload.state == UploadState.REFUSED
    assert "lost three times" in upload.problems[0]["reason"]


@pytest.mark.django_db(transaction=True)
def test_the_sweep_takes_up_imports_whose_worker_was_lost(hub: Hub, editing: Access) -> None:
    kept = services.entry_receive(editing, ENTRIES["gsm8k"], source_name="a.parquet", chunks=[parquet(GSM8K)])
    silent(kept, state=UploadState.IMPORTING, attempt=1)
    sweep()
    kept.refresh_from_db()
    assert kept.state == UploadState.QUEUED
    entry_run(kept.pk)
    kept.refresh_from_db()
    assert (kept.state, kept.attempt) == (UploadState.DONE, 2)
    assert Benchmark.objects.get().name == "GSM8K"
    other = services.entry_receive(
        editing, ENTRIES["gsm8k"], source_name="a.parquet", chunks=[parquet(GSM8K)]
    )
    silent(other, state=UploadState.IMPORTING, attempt=3)
    sweep()
    other.refresh_from_db()
    assert other.state == UploadState.IMPORTING  # it waits for a person


def test_a_person_sees_it_and_starts_it_again(
    hub: Hub, editing: Access, editor: User, client_of: Clients, django_capture_on_commit_callbacks: Any
) -> None:
    upload = services.entry_fetch(editing, ENTRIES["gsm8k"])
    silent(upload, attempt=1)
    client, url = client_of(editor), f"/w/alpha/datasets/upload/{upload.pk}/progress/"
    again = f"/w/alpha/datasets/catalogue/again/{upload.pk}/"
    page = client.get(url).content.decode()
    assert "No worker has reported" in page and again in page
    with django_capture_on_commit_callbacks() as queued:
        assert client.post(again).headers["Location"] == url
    assert len(queued) == 1
    silent(upload, state=UploadState.IMPORTING, size_bytes=5)
    with django_capture_on_commit_callbacks() as queued:
        client.post(again)
    assert len(queued) == 1
    upload.refresh_from_db()
    assert upload.state == UploadState.QUEUED


# Entries that a judge scores


@pytest.mark.parametrize("key", ["humaneval", "ifeval", "mt-bench"])
def test_what_code_cannot_score_a_judge_scores(
    hub: Hub, editing: Access, model: Callable[..., RegisteredModel], key: str
) -> None:
    entry: Entry = ENTRIES[key]
    hub.hold(entry.place.repo, entry.place.config, entry.place.split, [parquet([ROWS[key]])])
    upload = services.entry_fetch(editing, entry, judge_model=model().pk)
    fetch_run(upload.pk)
    part = Benchmark.objects.get(name=entry.title).parts.get()
    assert (part.scorers, part.measure) == ([], entry.measure)
    judge = part.judges.get()
    assert entry.rubric and (judge.judge.name, judge.kind) == (entry.rubric.title, entry.rubric.kind)
    item = part.version.items.get()
    asked = judge_messages(
        frozen(judge), {"input": item.prompt, "references": item.references, "metadata": item.metadata},
        "an answer", nonce="n",
    )  # fmt: skip
    assert item.prompt in asked[-1]["content"]


def test_data_without_a_judge_model_wait_for_one(
    hub: Hub, editing: Access, editor: User, client_of: Clients, model: Callable[..., RegisteredModel]
) -> None:
    hub.hold("google/IFEval", "default", "train", [parquet([ROWS["ifeval"]])])
    client, url = client_of(editor), "/w/alpha/datasets/catalogue/"
    assert "none is registered" in client.get(url).content.decode()
    client.post(f"{url}ifeval/")
    fetch_run(Upload.objects.get().pk)
    assert DatasetVersion.objects.get().ready_at and not Benchmark.objects.exists()
    refused = client.post(f"{url}ifeval/prepare/", follow=True).content.decode()
    assert "choose the model that it asks" in refused
    chosen = {"judge_model": str(model().pk)}
    done = client.post(f"{url}ifeval/prepare/", chosen, follow=True).content.decode()
    assert "The benchmark IFEval is ready." in done
    space = {"X-Workspace": "alpha"}
    again = client.post(
        "/api/v1/catalogue/ifeval/benchmark", {}, content_type="application/json", headers=space
    )
    assert again.status_code == 400 and "is there already" in again.content.decode()
    Benchmark.objects.all().delete()
    once_more = client.post(
        "/api/v1/catalogue/ifeval/benchmark", {}, content_type="application/json", headers=space
    )
    assert once_more.status_code == 201  # with the judge that is here


@pytest.mark.shared
def test_gsm8k_from_its_file(editing: Access) -> None:
    data = (SHARED / "data" / "gsm8k" / "test.jsonl").read_bytes()
    upload = services.entry_receive(editing, ENTRIES["gsm8k"], source_name="test.jsonl", chunks=[data])
    entry_run(upload.pk)
    assert Benchmark.objects.get().parts.get().version.item_count == 1319
