"""From the file to the version through the pages, without script, with htmx, and by a worker."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from datasets import uploading, uploads
from datasets.models import DatasetVersion, Item, SavedMapping, Upload, UploadState
from tests.conftest import SHARED
from tests.datasets.conftest import Import
from tests.datasets.files import QUESTIONS, jsonl, mapping_of
from workspaces.access import Access
from workspaces.models import Membership, User, Workspace
from workspaces.services import workspace_delete

Clients = Callable[[User], Client]
UPLOAD = "/w/alpha/datasets/upload/"
HTMX = {"HX-Request": "true"}


def send(client: Client, content: bytes, name: str = "my_questions.jsonl", **fields: str) -> Any:
    file = SimpleUploadedFile(name, content)
    return client.post(UPLOAD, {"file": file, "kind": "query_response"} | fields)


def kept_files() -> list[Path]:
    return [path for path in (Path(settings.MEDIA_ROOT) / "uploads").rglob("*") if path.is_file()]


def form_of(page: Any, **changes: str) -> dict[str, str]:
    """What a browser would send of the mapping page."""
    context = page.context
    form = {"kind": context["kind"], "kind_before": context["kind"], "dataset_name": context["dataset_name"]}
    for row in context["rows"]:
        form |= {f"use-{row.index}": row.use, f"model-{row.index}": row.model}
    return form | changes


def test_the_whole_way_without_script(editor: User, client_of: Clients) -> None:
    client = client_of(editor)
    answer = send(client, jsonl(QUESTIONS), note="n")
    assert answer.status_code == 302
    page = client.get(answer.headers["Location"])
    assert page.context["dataset_name"] == "my questions"
    assert [(row.path, row.use, row.model) for row in page.context["rows"]][-2:] == [
        ("responses.m1", "response", "m1"),
        ("responses.m2", "response", "m2"),
    ]
    text = page.content.decode()
    assert "None, every line can be imported" in text
    assert not DatasetVersion.objects.exists()
    done = client.post(answer.headers["Location"], form_of(page, action="import", dataset_name="Q"))
    upload = Upload.objects.get()
    assert done.headers["Location"] == f"{UPLOAD}{upload.pk}/progress/"
    assert not DatasetVersion.objects.exists(), "a request imports nothing"
    uploading.upload_run(upload.pk)
    version = DatasetVersion.objects.get()
    moved = client.get(done.headers["Location"])
    assert moved.headers["Location"] == f"/w/alpha/datasets/{version.dataset_id}/?version=1"
    assert "Imported 3 items as version 1." in client.get(moved.headers["Location"]).content.decode()
    assert kept_files() == [upload.problems_path]

    again = send(client, jsonl(QUESTIONS)).headers["Location"]
    done = client.post(again, form_of(client.get(again), action="import", dataset_name="Q"))
    assert client.post(again, {"action": "import"}).headers["Location"] == done.headers["Location"]
    uploading.upload_run(Upload.objects.latest("pk").pk)
    moved = client.get(done.headers["Location"])
    assert "This is already version 1" in client.get(moved.headers["Location"]).content.decode()


def test_a_change_is_checked_again_with_htmx(editor: User, client_of: Clients) -> None:
    client = client_of(editor)
    url = send(client, jsonl(QUESTIONS)).headers["Location"]
    form = form_of(client.get(url), **{"use-1": "metadata", "model-4": "renamed"})
    answer = client.post(url, form, headers=HTMX).content.decode()
    for part in ("preview", "problems", "import-summary", "import-count"):
        assert f'id="{part}"' in answer
    assert 'id="mapping"' not in answer
    assert "renamed" in answer
    broken = client.post(url, form | {"use-2": "skip"}, headers=HTMX).content.decode()
    assert "No field is the prompt" in broken
    page = client.get(url)
    assert page.context["rows"][1].use == "metadata"
    assert page.context["problem_count"] > 0


def test_choosing_the_other_type_drops_or_brings_the_responses(editor: User, client_of: Clients) -> None:
    client = client_of(editor)
    url = send(client, jsonl(QUESTIONS)).headers["Location"]
    answer = client.post(url, form_of(client.get(url), kind="query"), headers=HTMX).content.decode()
    assert 'id="mapping"' in answer
    page = client.get(url)
    assert [row.use for row in page.context["rows"]][-2:] == ["skip", "skip"]
    client.post(url, form_of(page, kind="query_response"), headers=HTMX)
    assert [row.use for row in client.get(url).context["rows"]][-2:] == ["response", "response"]


def test_a_file_with_problems_is_not_imported(editor: User, client_of: Clients) -> None:
    client = client_of(editor)
    url = send(client, jsonl([*QUESTIONS, {"question": ""}]) + b"=bad\n").headers["Location"]
    page = client.get(url)
    assert page.context["problem_count"] == 2
    answer = client.post(url, form_of(page, action="import"))
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "The prompt is empty" in text
    assert "Not valid JSON" in text
    assert not Item.objects.exists()
    report = b"".join(client.get(url + "report.csv").streaming_content).decode()  # type: ignore[attr-defined]
    assert report.splitlines()[0] == "line,column,reason"
    assert report.splitlines()[1] == "4,question,the prompt is empty"


def test_rows_with_problems_are_left_out_if_the_person_says_so(editor: User, client_of: Clients) -> None:
    client = client_of(editor)
    url = send(client, jsonl([*QUESTIONS, {"question": ""}]) + b"=bad\n").headers["Location"]
    form = form_of(client.get(url), leave_out="1")
    checked = client.post(url, form, headers=HTMX).content.decode()
    assert "2 rows are left out" in checked
    assert "3 items" in checked
    client.post(url, form | {"action": "import"})
    uploading.upload_run(Upload.objects.get().pk)
    version = DatasetVersion.objects.get()
    assert (version.item_count, version.left_out) == (3, 2)


def test_a_mapping_is_saved_and_used_again(editor: User, client_of: Clients) -> None:
    client = client_of(editor)
    url = send(client, jsonl(QUESTIONS)).headers["Location"]
    form = form_of(client.get(url), **{"use-1": "metadata"})
    client.post(url, form | {"action": "save", "save_as": "Sums"})
    other = send(client, jsonl(QUESTIONS), name="other.jsonl").headers["Location"]
    page = client.get(other)
    assert [saved.name for saved in page.context["saved_mappings"]] == ["Sums"]
    assert page.context["rows"][1].use == "section"
    client.post(other, form_of(page, action="apply", saved="Sums"))
    assert client.get(other).context["rows"][1].use == "metadata"
    client.post(other, form_of(page, action="save", save_as=" "))
    assert SavedMapping.objects.count() == 1
    client.post(other, form_of(page, action="apply", saved=""))
    assert client.get(other).context["rows"][1].use == "section"


def test_a_known_format_and_what_its_reader_found_are_told(editor: User, client_of: Clients) -> None:
    client = client_of(editor)
    url = send(client, jsonl([{"input": "q", "ideal": "a"}])).headers["Location"]
    assert "Recognised as OpenAI evals" in client.get(url).content.decode()
    url = send(client, "question;answer\nWhat’s 1 + 1?;2\n".encode("cp1252"), name="x.csv").headers[
        "Location"
    ]
    assert "semicolon, CP1252" in client.get(url).content.decode()


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"x" * 3000, "larger than")])
def test_files_that_cannot_be_taken(
    editor: User, client_of: Clients, content: bytes, words: str, settings: Any
) -> None:
    settings.UPLOAD_MAX_BYTES = 2000
    answer = send(client_of(editor), content)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.jsonl", "..\\..\\x.jsonl", "a\x00b.jsonl", "x" * 240 + ".jsonl"]
)
def test_the_name_is_a_label_and_never_a_path(editing: Access, name: str) -> None:
    upload = uploads.upload_create(editing, source_name=name, chunks=[jsonl(QUESTIONS)])
    assert "/" not in upload.source_name
    assert "\x00" not in upload.source_name
    assert upload.path.parent == Path(settings.MEDIA_ROOT) / "uploads" / str(upload.workspace_id)
    assert upload.path.name == upload.token
    assert upload.path.stat().st_mode & 0o077 == 0


def test_an_upload_belongs_to_one_person(
    editor: User, owner: User, viewer: User, outsider: User, client_of: Clients
) -> None:
    url = send(client_of(editor), jsonl(QUESTIONS)).headers["Location"]
    for path in (url, url + "report.csv", url + "progress/"):
        assert client_of(owner).get(path).status_code == 404
        assert client_of(viewer).get(path).status_code == 403
        assert client_of(outsider).get(path).status_code == 404
        assert Client().get(path).status_code == 302
    for person, status in ((owner, 404), (viewer, 403), (outsider, 404)):
        assert client_of(person).post(url + "cancel/").status_code == status
        assert client_of(person).post(url, {"action": "import"}).status_code == status
    assert Upload.objects.exists()


def test_cancel_forgets_the_file(editor: User, client_of: Clients) -> None:
    client = client_of(editor)
    url = send(client, jsonl(QUESTIONS)).headers["Location"]
    path = Upload.objects.get().path
    assert client.post(url + "cancel/").status_code == 302
    assert not path.exists()
    assert client.get(url).status_code == 404


def test_the_next_version_keeps_the_mapping(imported: Import, editor: User, client_of: Clients) -> None:
    mapping = mapping_of("a=prompt", "b=metadata", "question=skip")
    rows = [{"question": "x", "a": "y", "b": "z"}]
    imported(rows, mapping=mapping, dataset_name="Kept")
    client = client_of(editor)
    url = send(client, jsonl([*rows, *rows]), dataset_name="Kept").headers["Location"]
    page = client.get(url)
    assert {row.path: row.use for row in page.context["rows"]} == {
        "question": "skip",
        "a": "prompt",
        "b": "metadata",
    }
    assert page.context["next_number"] == 2


def test_uploads_older_than_a_day_go(editing: Access) -> None:
    old = uploads.upload_create(editing, source_name="a.jsonl", chunks=[jsonl(QUESTIONS)])
    Upload.objects.update(created_at=timezone.now() - timedelta(days=2))
    uploading.expired_remove()
    assert not Upload.objects.exists()
    assert not old.path.exists()


@pytest.mark.django_db(transaction=True)
def test_uploads_go_with_their_workspace(editing: Access) -> None:
    upload = uploads.upload_create(editing, source_name="a.jsonl", chunks=[jsonl(QUESTIONS)])
    workspace_delete(editing)
    assert not upload.path.parent.exists()


# By a worker


@pytest.fixture
def queued(editing: Access) -> Upload:
    """An upload whose task has not run."""
    upload = uploads.upload_create(
        editing, source_name="a.jsonl", chunks=[jsonl(QUESTIONS)], dataset_name="Big"
    )
    uploads.upload_begin(upload)
    upload.refresh_from_db()
    assert upload.state == UploadState.QUEUED
    return upload


def progress(upload: Upload, client: Client, **headers: str) -> Any:
    return client.get(f"{UPLOAD}{upload.pk}/progress/", headers=headers)


def test_a_worker_imports_once(queued: Upload, editor: User, client_of: Clients) -> None:
    assert "Waiting for a worker" in progress(queued, client_of(editor)).content.decode()
    uploading.upload_run(queued.pk)
    uploading.upload_run(queued.pk)
    version = DatasetVersion.objects.get()
    assert (version.item_count, version.created_by) == (3, editor)
    answer = progress(queued, client_of(editor), **HTMX)
    assert answer.headers["HX-Redirect"] == f"/w/alpha/datasets/{version.dataset_id}/?version=1"
    assert not queued.path.exists()


def test_problems_of_a_large_file_are_shown_on_the_mapping(
    queued: Upload, editor: User, client_of: Clients
) -> None:
    with queued.path.open("ab") as file:
        file.write(b"{oops\n")
    uploading.upload_run(queued.pk)
    queued.refresh_from_db()
    assert (queued.state, queued.problem_count) == (UploadState.REFUSED, 1)
    client = client_of(editor)
    assert progress(queued, client).headers["Location"] == f"{UPLOAD}{queued.pk}/"
    assert "Not valid JSON" in client.get(f"{UPLOAD}{queued.pk}/").content.decode()
    assert not Item.objects.exists()


def test_a_canceled_import_leaves_nothing(queued: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "REPORT_EVERY_S", 0)
    real = uploading.Reporter.__call__

    def cancel_when_writing(self: Any, done: int, total: int) -> None:
        if Item.objects.exists():
            uploads.upload_cancel(self.upload)
        real(self, done, total)

    monkeypatch.setattr(uploading.Reporter, "__call__", cancel_when_writing)
    uploading.upload_run(queued.pk)
    assert not Upload.objects.exists()
    assert not DatasetVersion.objects.exists()
    assert not Item.objects.exists()


def test_a_member_who_left_imports_nothing(queued: Upload, editor: User) -> None:
    Membership.objects.filter(user=editor).delete()
    uploading.upload_run(queued.pk)
    queued.refresh_from_db()
    assert queued.problems[0]["reason"] == "you may no longer import into this workspace"
    assert not DatasetVersion.objects.exists()


def test_a_fault_of_ours_is_said_and_leaves_nothing(queued: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.importing._write_batch", lambda *rest: 1 / 0)
    uploading.upload_run(queued.pk)
    queued.refresh_from_db()
    assert queued.state == UploadState.REFUSED
    assert "fault in the portal" in queued.problems[0]["reason"]
    assert not DatasetVersion.objects.exists()


def test_an_import_whose_worker_fell_silent_starts_again(
    queued: Upload, editor: User, client_of: Clients
) -> None:
    Upload.objects.update(
        state=UploadState.IMPORTING, attempt=1, alive_at=timezone.now() - timedelta(minutes=2)
    )
    client = client_of(editor)
    assert "Start again" in progress(queued, client).content.decode()
    client.post(f"{UPLOAD}{queued.pk}/progress/")
    uploading.upload_run(queued.pk)
    queued.refresh_from_db()
    assert (queued.state, queued.attempt) == (UploadState.DONE, 2)


@pytest.mark.shared
def test_gsm8k_through_the_pages(editor: User, client_of: Clients, alpha: Workspace) -> None:
    client = client_of(editor)
    content = (Path(SHARED) / "data" / "gsm8k" / "example_model_solutions.jsonl").read_bytes()
    url = send(client, content, name="example_model_solutions.jsonl").headers["Location"]
    page = client.get(url)
    assert page.context["problem_count"] == 0
    assert page.context["report"].response_count == 4 * 1319
    client.post(url, form_of(page, action="import"))
    uploading.upload_run(Upload.objects.get().pk)
    assert DatasetVersion.objects.get().item_count == 1319
