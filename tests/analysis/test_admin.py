"""Triage and saved comparisons in the admin: shown to staff alone, changed by nobody, deleted by services."""

from collections.abc import Callable

import pytest
from django.test import Client

from analysis.models import SavedComparison, TriagedItem
from runs.models import Run, Trial
from tests.analysis.test_triage import decide
from workspaces.models import AuditEvent, User, Workspace

ClientOf = Callable[[User], Client]
TRIAGED, SAVED = "/admin/analysis/triageditem/", "/admin/analysis/savedcomparison/"


@pytest.fixture
def saved(alpha: Workspace, three: list[Run], editor: User, client_of: ClientOf) -> SavedComparison:
    decide(client_of(editor), three, state="flaky", comment="Now so, now so.")
    query = f"?runs={three[0].pk},{three[1].pk}"
    return SavedComparison.objects.create(workspace=alpha, name="Release", query=query, created_by=editor)


def test_staff_look_and_delete(saved: SavedComparison, staff: User, client_of: ClientOf) -> None:
    client = client_of(staff)
    row = TriagedItem.objects.get()
    lists = client.get(TRIAGED).content.decode(), client.get(SAVED).content.decode()
    assert "Flaky" in lists[0] and "Release" in lists[1]
    page = client.get(f"{TRIAGED}{row.pk}/change/").content.decode()
    assert "Now so, now so." in page and "/w/alpha/triage/" in page and 'name="state"' not in page
    assert f"/w/alpha/compare/{saved.query}" in client.get(f"{SAVED}{saved.pk}/change/").content.decode()
    assert client.post(f"{TRIAGED}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post(f"{SAVED}{saved.pk}/delete/", {"post": "yes"})
    assert not SavedComparison.objects.exists() and Trial.objects.exists()
    assert AuditEvent.objects.filter(action="comparison.delete").exists()


def test_others_see_nothing(saved: SavedComparison, owner: User, client_of: ClientOf) -> None:
    for path in (TRIAGED, SAVED, f"{SAVED}{saved.pk}/delete/"):
        assert client_of(owner).get(path).status_code in (302, 403)
