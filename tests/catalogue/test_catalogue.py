"""Data of a hub by name, and well-known benchmarks in one click, from the hub and from a file."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from benchmarks.models import Benchmark
from catalogue import services
from catalogue.entries import ENTRIES, Entry
from catalogue.fetching import entry_run, fetch_run
from catalogue.hub import Place
from datasets.drafts import draft_of
from datasets.models import DatasetVersion, Item, Upload, UploadState
from judges.scorers import SCORERS
from judges.templating import check_template, render
from tests.catalogue.conftest import Hub, parquet
from tests.conftest import SHARED
from workspaces.access import Access
from workspaces.models import Role, User, Workspace

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


def test_one_click_imports_the_data_and_prepares_the_benchmark(hub: Hub, editing: Access) -> None:
    hub.hold("openai/gsm8k", "main", "test", [parquet(GSM8K)])
    upload = services.entry_fetch(editing, ENTRIES["gsm8k"])
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


@pytest.mark.shared
def test_gsm8k_from_its_file(editing: Access) -> None:
    data = (SHARED / "data" / "gsm8k" / "test.jsonl").read_bytes()
    upload = services.entry_receive(editing, ENTRIES["gsm8k"], source_name="test.jsonl", chunks=[data])
    entry_run(upload.pk)
    assert Benchmark.objects.get().parts.get().version.item_count == 1319
