"""Datasets over HTTP, with bearer tokens."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from datasets.models import DatasetVersion
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


def create(headers: dict[str, str], content: bytes = jsonl(QUESTIONS), **fields: Any) -> Any:
    form = {"file": SimpleUploadedFile("q.jsonl", content), "name": "Q"} | fields
    return Client().post(URL, form, headers=headers)


def test_create_answers_201_then_200_for_the_same_content(edits: dict[str, str]) -> None:
    first = create(edits, note="n")
    assert first.status_code == 201, first.content
    body = first.json()
    assert (body["number"], body["item_count"], body["response_models"], body["note"]) == (
        1,
        3,
        ["m1", "m2"],
        "n",
    )
    assert first.headers["Location"].endswith(f"/api/v1/versions/{body['id']}")
    again = create(edits)
    assert (again.status_code, again.json()["id"]) == (200, body["id"])


def test_create_with_a_mapping(edits: dict[str, str]) -> None:
    mapping = json.dumps({"fields": [{"path": "question", "use": "prompt"}]})
    body = create(edits, mapping=mapping).json()
    assert (body["upload_type"], body["mapping"]["fields"]) == (
        "query",
        [{"path": "question", "use": "prompt"}],
    )


def test_problems_are_a_422_with_line_field_and_reason(edits: dict[str, str]) -> None:
    answer = create(edits, jsonl(QUESTIONS) + b'{"question": ""}\n')
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["problems"] == [{"line": 4, "field": "question", "reason": "the prompt is empty"}]
    assert not DatasetVersion.objects.exists()


@pytest.mark.parametrize(
    "fields", [{"file": ""}, {"name": ""}, {"mapping": "{"}, {"mapping": '[{"path": 1}]'}]
)
def test_a_bad_form_is_a_400(edits: dict[str, str], fields: dict[str, str]) -> None:
    answer = create(edits, **fields)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == next(iter(fields))


def test_an_idempotency_key_is_kept(edits: dict[str, str]) -> None:
    headers = edits | {"Idempotency-Key": "k1"}
    first, again = create(headers), create(headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert create(headers, jsonl(QUESTIONS[:1])).status_code == 422


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
    assert create(reads).status_code == 403
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
