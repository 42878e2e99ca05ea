"""Differences, edits and subsets over HTTP."""

from typing import Any

import pytest
from django.test import Client

from datasets import services_drafts
from datasets.models import DatasetVersion, Draft, Subset
from tests.datasets.test_api import bearer
from workspaces.access import system_access
from workspaces.models import Role, User, Workspace


@pytest.fixture
def client(owner: User) -> Client:
    return Client(headers=bearer(owner, "alpha", Role.EDITOR))


@pytest.fixture
def version(dataset: Any) -> DatasetVersion:
    made: DatasetVersion = dataset(6)
    return made


def post(client: Client, url: str, body: dict[str, Any]) -> Any:
    return client.post(f"/api/v1/{url}", body, content_type="application/json")


def test_edits_make_the_next_version(client: Client, version: DatasetVersion) -> None:
    answer = post(
        client, f"versions/{version.pk}/edits",
        {
            "note": "Why",
            "bulk": [{"filter": {"section": "odd"}, "action": "tag", "value": "Seen"}],
            "items": [
                {"external_id": "n1", "set": {"references": ["x"], "section": "new"}},
                {"position": 2, "drop": True}, {"external_id": "n3", "drop": True},
            ],
        },
    )  # fmt: skip
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["number"], body["item_count"], body["note"], body["origin"]) == (
        2, 4, "Why", {"kind": "edit", "version": 1},
    )  # fmt: skip
    items = client.get(f"/api/v1/versions/{body['id']}/items").json()["results"]
    assert [(item["external_id"], item["tags"]) for item in items] == [
        ("n1", ["seen"]), ("n4", []), ("n5", ["seen"]), ("n6", []),
    ]  # fmt: skip
    diff = client.get(f"/api/v1/versions/{body['id']}/diff").json()
    assert diff["counts"] == {"changed": 2, "added": 0, "removed": 2, "same": 2}
    assert (diff["before"], diff["next_after"]) == (version.pk, None)
    assert diff["items"][0]["changes"][0] == {"field": "Reference", "before": "2", "after": "x"}
    removed = client.get(f"/api/v1/versions/{body['id']}/diff?from={version.pk}&kind=removed").json()["items"]
    assert [item["external_id"] for item in removed] == ["n2", "n3"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"items": [{"external_id": "none", "drop": True}]}, 400),
        ({"items": [{"position": 1, "set": {"prompt": ""}}]}, 400),
        ({"items": [{"position": 1, "set": {"position": 2}}]}, 400),
        ({"bulk": [{"filter": {}, "action": "shout"}]}, 400),
        ({"bulk": [{"filter": {}, "action": "drop"}]}, 409),
        ({}, 409),
    ],
)
def test_a_refused_edit_leaves_nothing(
    client: Client, imported: Any, body: dict[str, Any], status: int
) -> None:
    version = imported([{"id": "a", "q": "1?"}, {"id": "b", "q": "2?"}]).version
    answer = post(client, f"versions/{version.pk}/edits", body)
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not Draft.objects.exists() and DatasetVersion.objects.count() == 1


def test_an_open_draft_is_not_run_over(client: Client, version: DatasetVersion, alpha: Workspace) -> None:
    services_drafts.draft_start(system_access(alpha), version)
    assert post(client, f"versions/{version.pk}/edits", {}).status_code == 409
    assert Draft.objects.count() == 1


def test_differences_stay_within_a_dataset(client: Client, version: DatasetVersion, dataset: Any) -> None:
    other = dataset(2)
    for query in (f"?from={other.pk}", "?from=x", "?kind=odd&from=1", "?after=x"):
        answer = client.get(f"/api/v1/versions/{version.pk}/diff{query}")
        assert answer.status_code in (400, 404), query
    assert client.get(f"/api/v1/versions/{version.pk}/diff").json()["before"] is None


def test_subsets_are_saved_listed_and_deleted(client: Client, version: DatasetVersion, owner: User) -> None:
    body = {"dataset": version.dataset_id, "name": "Odd", "filter": {"section": "odd"}, "size": 2, "seed": 1}
    made = post(client, "subsets", body)
    assert made.status_code == 201, made.content
    found = client.get("/api/v1/subsets").json()["results"]
    assert [{key: one[key] for key in body} for one in found] == [body]
    assert post(client, "subsets", body).json()["errors"][0]["field"] == "name"
    assert post(client, "subsets", body | {"name": "x", "size": None}).status_code == 400
    reads = Client(headers=bearer(owner, "alpha", Role.VIEWER))
    url = f"/api/v1/subsets/{made.json()['id']}"
    assert (reads.get(url).status_code, reads.delete(url).status_code) == (200, 403)
    assert client.delete(url).status_code == 204
    assert not Subset.objects.exists()


def test_another_workspaces_dataset_has_no_subsets(version: DatasetVersion, outsider: User) -> None:
    outside = Client(headers=bearer(outsider, "beta", Role.EDITOR))
    body = {"dataset": version.dataset_id, "name": "Mine", "size": 1}
    assert post(outside, "subsets", body).status_code == 400
    assert not Subset.objects.exists()
