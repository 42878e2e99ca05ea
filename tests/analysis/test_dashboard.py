"""The workspace's home: what runs, what needs a person, results against the run before, readiness, spend."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analysis.models import TriagedItem
from runs.models import MonthlySpend, Run, Trial
from tests.analysis.conftest import Made
from workspaces import audit
from workspaces.access import access_for
from workspaces.models import User, Workspace

ClientOf = Callable[[User], Client]
HOME = "/w/alpha/"


def text_of(client: Client, path: str = HOME) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def finished(runs: list[Run], alias: str = "same") -> None:
    for days, run in enumerate(reversed(runs)):
        Run.objects.filter(pk=run.pk).update(
            alias=alias, finished_at=timezone.now() - timedelta(days=days, minutes=20)
        )


def test_a_new_workspace_is_told_the_next_step(alpha: Workspace, editor: User, client_of: ClientOf) -> None:
    assert "First, upload a dataset" in text_of(client_of(editor))


def test_home_leads_to_it(alpha: Workspace, viewer: User, client_of: ClientOf) -> None:
    assert client_of(viewer).get("/")["Location"] == HOME


def test_results_against_the_run_before(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    finished(three[:2])
    page = text_of(client_of(viewer))
    assert "+25.0 [" in page and "pts </span>" not in page and f"against #{three[0].pk}" in page
    assert f"?runs={three[0].pk},{three[1].pk}" in page and "first of its alias" in page


def test_what_can_be_compared(
    three: list[Run], dataset: Any, scored_run: Made, editor: User, client_of: ClientOf
) -> None:
    scored_run(dataset(2, name="Alone"), [1, 0])
    page = text_of(client_of(editor))
    assert "3 finished runs, the same 40 items" in page
    assert f"?runs={','.join(str(run.pk) for run in three)}" in page
    assert "1 finished run, needs one more" in page and "Launch a run on Alone" in page


def test_what_needs_a_person(three: list[Run], editor: User, viewer: User, client_of: ClientOf) -> None:
    Run.objects.filter(pk=three[0].pk).update(status="paused", done=7, status_reason="The key was refused")
    Run.objects.filter(pk=three[2].pk).update(errored=1, finished_at=timezone.now())
    item = Trial.objects.filter(run=three[1]).earliest("seq").item
    TriagedItem.objects.create(
        workspace=three[1].workspace, item=item, run=three[1], changed_at=timezone.now()
    )
    page = text_of(client_of(editor))
    assert "is paused at 7 of 40" in page and "The key was refused." in page
    assert "Retry 1" in page and "1 triaged item waits for a decision." in page
    assert "Retry 1" not in text_of(client_of(viewer))


def test_active_runs_spend_and_activity(
    three: list[Run], owner: User, viewer: User, client_of: ClientOf
) -> None:
    Run.objects.filter(pk=three[1].pk).update(status="running", done=20)
    today = timezone.now().date()
    MonthlySpend.objects.create(
        workspace=three[0].workspace, month=today.replace(day=1), cost="1.25", tokens=900, calls=12
    )
    audit.record(access_for(owner, "alpha"), "dataset.import", "Numbers v1")
    audit.record(access_for(owner, "alpha"), "token.create", "secret name")
    page = text_of(client_of(viewer))
    assert "20 of 40 items" in page and f'id="active-{three[1].pk}"' in page
    assert "$1.25" in page and "Imported dataset: Numbers v1" in page and "secret name" not in page


def test_it_costs_the_same_whatever_there_is(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    finished(three)
    client = client_of(viewer)
    text_of(client)
    with CaptureQueriesContext(connection) as queries:
        text_of(client)
    assert len(queries) <= 22, [query["sql"][:90] for query in queries]


def test_live_parts_are_read_again(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    page = text_of(client_of(viewer), f"{HOME}dashboard/fragments/")
    for part in ("attention", "active", "recent", "readiness", "week", "activity"):
        assert f'id="{part}"' in page
    assert page.count('hx-swap-oob="true"') == 6 and "<html" not in page


def test_nothing_of_another_workspace(three: list[Run], outsider: User, client_of: ClientOf) -> None:
    client = client_of(outsider)
    assert client.get(HOME).status_code == 404
    assert f"#{three[0].pk} ·" not in text_of(client, "/w/beta/")
