"""The administration looks at datasets and deletes them through the service."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from datasets.models import Asset, Dataset, DatasetVersion
from runs.models import Evaluation, Run
from tests.datasets.conftest import Import
from tests.datasets.files import QUESTIONS, data_url, png
from workspaces.models import AuditEvent, User

Clients = Callable[[User], Client]


@pytest.fixture
def version(imported: Import) -> DatasetVersion:
    return imported([*QUESTIONS, {"question": "<i>x</i>", "image": data_url(png())}]).version


@pytest.mark.parametrize("name", ["dataset", "datasetversion", "asset"])
def test_lists_search_and_pages_open(
    name: str, version: DatasetVersion, staff: User, client_of: Clients
) -> None:
    client = client_of(staff)
    listed = client.get(reverse(f"admin:datasets_{name}_changelist"), {"q": "a"})
    assert listed.status_code == 200
    model: Any = {"dataset": Dataset, "datasetversion": DatasetVersion, "asset": Asset}[name]
    page = client.get(reverse(f"admin:datasets_{name}_change", args=[model.objects.get().pk]))
    assert page.status_code == 200


def test_a_version_shows_its_first_items_and_cannot_be_edited(
    version: DatasetVersion, staff: User, client_of: Clients
) -> None:
    url = reverse("admin:datasets_datasetversion_change", args=[version.pk])
    page = client_of(staff).get(url).content.decode()
    assert "1 + 1?" in page
    assert "&lt;i&gt;x&lt;/i&gt;" in page
    assert f"/w/alpha/datasets/{version.dataset_id}/?version=1&amp;item=1" in page
    assert client_of(staff).post(url, {"note": "changed"}).status_code == 403


def test_deleting_goes_through_the_service(version: DatasetVersion, staff: User, client_of: Clients) -> None:
    client_of(staff).post(
        reverse("admin:datasets_dataset_delete", args=[version.dataset_id]), {"post": "yes"}
    )
    assert not Dataset.objects.exists()
    assert AuditEvent.objects.get(action="dataset.delete").actor == staff


def test_what_runs_use_is_refused(version: DatasetVersion, staff: User, client_of: Clients) -> None:
    workspace = version.dataset.workspace
    evaluation = Evaluation.objects.create(workspace=workspace, name="e")
    Run.objects.create(workspace=workspace, evaluation=evaluation, dataset_version=version, alias="a")
    url = reverse("admin:datasets_datasetversion_delete", args=[version.pk])
    answer = client_of(staff).post(url, {"post": "yes"}, follow=True)
    assert "1 run" in answer.content.decode()
    version.refresh_from_db()
    assert version.ready_at


def test_members_who_are_not_staff_stay_out(version: DatasetVersion, owner: User, client_of: Clients) -> None:
    for name in ("dataset", "datasetversion", "asset"):
        answer = client_of(owner).get(reverse(f"admin:datasets_{name}_changelist"))
        assert answer.status_code in (302, 403, 404)
