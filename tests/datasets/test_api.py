"""Datasets over HTTP, with bearer tokens."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from datasets.models import DatasetVersion
from datasets.uploading import upload_run
from tests.datasets.conftest import Import
from tests.datasets.files import QUESTIONS, jsonl
from workspaces import services
from workspaces.access import access_for
from workspaces.models import Role, User

URL = "/api/v1/datasets"


def bearer(user: User, slug: str, role: Role) -> dict[str, str]:
    _, secret = services.token_create(access_for(user, slug), name="t", role=role, expires_at=None)
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def edits(owner: User) -> dict[str, str]:
    return bearer(owner, "alpha", Role.EDITOR)


@pytest.fixture
def reads(owner: User) -> dict[str, str]:
    return bearer(owner, "alpha", Role.VIEWER)


@pytest.fixture
def outside(outsider: User) -> dict[str, str]:
    return bearer(outsider, "beta", Role.EDITOR)


def send(headers: dict[str, str], content: bytes = jsonl(QUESTIONS), **fields: Any) -> Any:
    form = {"file": SimpleUploadedFile("q.jsonl", content), "name": "Q"} | fields
    return Client().post(URL, form, headers=headers)


def create(headers: dict[str, str], content: bytes = jsonl(QUESTIONS), **fields: Any) -> Any:
    """The upload after a worker had its turn."""
    answer = send(headers, content, **fields)
    assert answer.status_code == 202, answer.content
    assert answer.json()["state"] == "queued"
    upload_run(answer.json()["id"])
    return Client(headers=headers).get(answer.headers["Location"]).json()


def test_create_answers_202_and_a_worker_imports(edits: dict[str, str]) -> None:
    first = create(edits, note="n")
    assert (first["state"], first["problem_count"]) == ("done", 0)
    version = DatasetVersion.objects.get(pk=first["version"])
    assert (version.number, version.item_count, version.note) == (1, 3, "n")
    assert version.response_models == ["m1", "m2"]
    assert first["dataset"] == version.dataset_id
    assert create(edits)["version"] == version.pk
    assert DatasetVersion.objects.get(pk=create(edits, type="query")["version"]).response_models == []


def test_create_with_a_mapping_of_its_own_and_with_a_saved_one(edits: dict[str, str]) -> None:
    mapping = {"fields": [{"path": "question", "use": "prompt"}]}
    first = create(edits, mapping=json.dumps(mapping))
    assert DatasetVersion.objects.get(pk=first["version"]).mapping == mapping
    client = Client(headers=edits)
    saved = client.post(
        "/api/v1/mappings", {"name": "plain", "mapping": mapping}, content_type="application/json"
    )
    assert saved.status_code == 201, saved.content
    assert [one["name"] for one in client.get("/api/v1/mappings").json()["results"]] == ["plain"]
    assert create(edits, saved_mapping="plain")["version"] == first["version"]
    assert client.delete(f"/api/v1/mappings/{saved.json()['id']}").status_code == 204
    assert send(edits, saved_mapping="plain").status_code == 400


def test_problems_are_on_the_upload_and_the_rows_can_be_left_out(edits: dict[str, str]) -> None:
    refused = create(edits, jsonl(QUESTIONS) + b'{"question": ""}\n')
    assert refused["state"] == "refused"
    assert refused["problems"] == [{"line": 4, "field": "question", "reason": "the prompt is empty"}]
    assert not DatasetVersion.objects.exists()
    client, where = Client(headers=edits), f"/api/v1/uploads/{refused['id']}"
    table = b"".join(client.get(f"{where}/problems.csv").streaming_content).decode()  # type: ignore[attr-defined]
    assert table.splitlines() == ["line,column,reason", "4,question,the prompt is empty"]
    again = client.post(f"{where}/import", {"leave_out": True}, content_type="application/json")
    assert again.status_code == 202
    upload_run(refused["id"])
    version = DatasetVersion.objects.get(pk=client.get(where).json()["version"])
    assert (version.item_count, version.left_out) == (3, 1)
    assert client.post(f"{where}/import", {}, content_type="application/json").status_code == 409


def test_a_canceled_upload_is_gone(edits: dict[str, str], reads: dict[str, str]) -> None:
    where = send(edits).headers["Location"]
    assert Client(headers=reads).get(where).status_code == 403
    assert Client(headers=edits).delete(where).status_code == 204
    assert Client(headers=edits).get(where).status_code == 404


@pytest.mark.parametrize(
    "fields", [{"file": ""}, {"name": ""}, {"mapping": "{"}, {"mapping": '[{"path": 1}]'}]
)
def test_a_bad_form_is_a_400(edits: dict[str, str], fields: dict[str, str]) -> None:
    answer = send(edits, **fields)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == next(iter(fields))


def test_an_idempotency_key_is_kept(edits: dict[str, str]) -> None:
    headers = edits | {"Idempotency-Key": "k1"}
    first, again = send(headers), send(headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert send(headers, jsonl(QUESTIONS[:1])).status_code == 422


def test_lists_versions_and_items(imported: Import, reads: dict[str, str]) -> None:
    version = imported(QUESTIONS).version
    client = Client(headers=reads)
    (entry,) = client.get(URL).json()["results"]
    assert (entry["name"], entry["latest_version"], entry["item_count"]) == ("Questions", version.pk, 3)
    assert client.get(f"{URL}/{entry['id']}").json() == entry
    assert client.get(f"{URL}?q=zzz").json()["results"] == []
    (found,) = client.get(f"{URL}/{entry['id']}/versions").json()["results"]
    assert found["content_hash"] == version.content_hash
    assert client.get(f"/api/v1/versions/{version.pk}").json() == found
    page = client.get(f"/api/v1/versions/{version.pk}/items?limit=2").json()
    assert [item["position"] for item in page["results"]] == [1, 2]
    assert page["results"][0]["responses"] == {"m1": "2", "m2": "3"}
    assert [item["position"] for item in client.get(page["next"]).json()["results"]] == [3]
    words = client.get(f"/api/v1/versions/{version.pk}/items?section=words").json()
    assert [item["external_id"] for item in words["results"]] == ["q3"]


def test_item_pages_cost_the_same(
    dataset: Any, reads: dict[str, str], django_assert_max_num_queries: Any
) -> None:
    version = dataset(150)
    client = Client(headers=reads)
    with django_assert_max_num_queries(10):
        client.get(f"/api/v1/versions/{version.pk}/items?limit=5")
    with django_assert_max_num_queries(10):
        client.get(f"/api/v1/versions/{version.pk}/items?limit=150")


def test_roles_and_workspaces(imported: Import, reads: dict[str, str], outside: dict[str, str]) -> None:
    version = imported(QUESTIONS).version
    assert send(reads).status_code == 403
    assert Client(headers=outside).get(URL).json()["results"] == []
    for path in (
        f"{URL}/{version.dataset_id}",
        f"{URL}/{version.dataset_id}/versions",
        f"/api/v1/versions/{version.pk}",
        f"/api/v1/versions/{version.pk}/items",
    ):
        assert Client(headers=outside).get(path).status_code == 404, path
        assert Client().get(path).status_code == 401, path


def test_hidden_versions_are_absent(imported: Import, reads: dict[str, str]) -> None:
    version = imported(QUESTIONS).version
    DatasetVersion.objects.update(ready_at=None)
    assert Client(headers=reads).get(f"/api/v1/versions/{version.pk}").status_code == 404
    assert Client(headers=reads).get(f"{URL}/{version.dataset_id}").status_code == 404
