"""Evaluations and runs in the admin: lists, filters, and actions through the services."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs.engine.host import run_to_end
from runs.models import Evaluation, Run, RunStatus, Trial, TrialState
from workspaces.models import AuditEvent, User

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
RUNS = "/admin/runs/run/"


@pytest.fixture
def client(client_of: Callable[[User], Client], staff: User) -> Client:
    return client_of(staff)


def act(client: Client, name: str, *runs: Run, url: str = RUNS) -> str:
    picked = {"action": name, "_selected_action": [run.pk for run in runs]}
    answer = client.post(url, picked | ({"post": "yes"} if name == "delete_selected" else {}), follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_shows_filters_and_finds(client: Client, launched: Launched) -> None:
    run = launched(3, alias="kiwi", label="nightly")
    for query in ("", "?q=kiwi", f"?q={run.pk}", "?q=stub-model", "?status__exact=pending"):
        html = client.get(RUNS + query).content.decode()
        assert "kiwi" in html and "0 of 3" in html and f"/w/alpha/runs/{run.pk}/" in html, query
    assert "0 of 3" not in client.get(RUNS + "?status__exact=failed").content.decode()


def test_the_list_costs_the_same_for_any_number_of_runs(client: Client, launched: Launched) -> None:
    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(url)
        return len(captured)

    launched(2)
    before = [queries(url) for url in (RUNS, RUNS, "/admin/runs/evaluation/")][1:]
    for _ in range(3):
        launched(2)
    assert [queries(RUNS), queries("/admin/runs/evaluation/")] == before


def test_content_is_read_only(client: Client, launched: Launched) -> None:
    run = launched(2)
    html = client.get(f"{RUNS}{run.pk}/change/").content.decode()
    assert "&quot;template&quot;" in html and 'name="_save"' not in html
    assert client.get(f"{RUNS}add/").status_code == 403
    client.post(f"{RUNS}{run.pk}/change/", {"alias": "changed"})
    run.refresh_from_db()
    assert run.alias != "changed"


def test_cancel_and_retry_go_through_the_services(client: Client, launched: Launched) -> None:
    run, failed = launched(2), launched([{"prompt": "x [[fail:400]]", "references": ["1"]}])
    run_to_end(failed.pk)
    html = act(client, "cancel", run, failed)
    assert f"Run {run.pk}: canceled." in html and f"Run {failed.pk}: Only a run" in html
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELED
    assert f"Run {failed.pk}: asking failed items again" in act(client, "retry_failed", failed)
    assert Trial.objects.get(run=failed).state == TrialState.PENDING
    assert AuditEvent.objects.filter(action="run.cancel", actor__email="staff@example.com").exists()


def test_deleting_leaves_nothing_but_the_audit_line(client: Client, launched: Launched) -> None:
    one, many, whole = launched(2), launched(2), launched(2)
    client.post(f"{RUNS}{one.pk}/delete/", {"post": "yes"})
    act(client, "delete_selected", many)
    client.post(f"/admin/runs/evaluation/{whole.evaluation_id}/delete/", {"post": "yes"})
    assert not Run.objects.exists() and not Trial.objects.exists() and not Evaluation.objects.exists()
    assert AuditEvent.objects.filter(action="run.delete").count() == 3


def test_only_staff_come_in(client_of: Callable[[User], Client], owner: User, launched: Launched) -> None:
    run = launched(2)
    for url in (RUNS, f"{RUNS}{run.pk}/change/", f"{RUNS}{run.pk}/delete/"):
        assert client_of(owner).get(url).status_code in (302, 403)
        assert client_of(owner).post(url, {"post": "yes"}).status_code in (302, 403)
    assert Run.objects.filter(pk=run.pk).exists()


def test_trials_and_attempts_have_no_pages_here(client: Client) -> None:
    for name in ("trial", "attempt", "score"):
        assert client.get(f"/admin/runs/{name}/").status_code == 404
