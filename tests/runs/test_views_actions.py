"""What editors do to a run: with script and without, refused to viewers, and delete only when typed."""

from collections.abc import Callable

import pytest
from django.test import Client

from runs.engine.host import run_to_end
from runs.models import Run, RunStatus, Trial, TrialState
from tests.stub_endpoint import StubEndpoint
from workspaces.models import AuditEvent, User

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def client(client_of: Callable[[User], Client], editor: User) -> Client:
    return client_of(editor)


def url_of(run: Run, action: str) -> str:
    return f"/w/alpha/runs/{run.pk}/{action}/"


def status_of(run: Run) -> str:
    run.refresh_from_db()
    return run.status


def test_pause_resume_cancel_resume(launched: Launched, client: Client) -> None:
    run = launched(4)
    for action, status in (
        ("pause", RunStatus.PAUSED),
        ("resume", RunStatus.PENDING),
        ("cancel", RunStatus.CANCELED),
        ("resume", RunStatus.PENDING),
    ):
        answer = client.post(url_of(run, action), follow=True)
        assert status_of(run) == status
        assert (
            answer.redirect_chain[-1][0] == f"/w/alpha/runs/{run.pk}/"
            and f"Run #{run.pk} " in answer.content.decode()
        )


def test_htmx_is_told_to_read_again_or_why_not(launched: Launched, client: Client) -> None:
    run = launched(4)
    done = client.post(url_of(run, "cancel"), headers=HTMX)
    refused = client.post(url_of(run, "cancel"), headers=HTMX)
    assert (done.status_code, done["HX-Trigger"]) == (204, "run-changed")
    assert refused.status_code == 409 and b"can be canceled" in refused.content


def test_what_cannot_be_done_is_said_without_script(launched: Launched, client: Client) -> None:
    answer = client.post(url_of(launched(2), "resume"), follow=True)
    assert "can be resumed" in answer.content.decode()


def test_retry_asks_all_failed_items_or_one(launched: Launched, client: Client, stub: StubEndpoint) -> None:
    run = launched([{"prompt": f"{n} [[fail:400]]", "references": ["1"]} for n in range(3)])
    run_to_end(run.pk)
    client.post(url_of(run, "retry"), {"trial": "2"})
    states = list(Trial.objects.filter(run=run).order_by("seq").values_list("state", flat=True))
    assert states == [TrialState.ERRORED, TrialState.PENDING, TrialState.ERRORED]
    run_to_end(run.pk)
    client.post(url_of(run, "retry"))
    assert Trial.objects.filter(run=run, state=TrialState.PENDING).count() == 3
    assert client.post(url_of(run, "retry"), {"trial": "99"}, headers=HTMX).status_code == 409


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "retry"])
def test_actions_are_posts_of_editors(
    action: str,
    launched: Launched,
    client_of: Callable[[User], Client],
    viewer: User,
    outsider: User,
    editor: User,
) -> None:
    run = launched(2)
    assert client_of(viewer).post(url_of(run, action)).status_code == 403
    assert client_of(outsider).post(url_of(run, action)).status_code == 404
    assert client_of(outsider).post(f"/w/beta/runs/{run.pk}/{action}/").status_code == 404
    assert Client().post(url_of(run, action)).status_code == 302
    assert client_of(editor).get(url_of(run, action)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(editor, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert strict.post(url_of(run, action)).status_code == 403
    assert status_of(run) == RunStatus.PENDING


def test_delete_waits_for_the_typed_words(launched: Launched, client: Client) -> None:
    run = launched(3)
    asked = client.get(url_of(run, "delete")).content.decode()
    assert f"<code>delete {run.pk}</code>" in asked and f"/runs/{run.pk}/export/zip/" in asked
    assert b"<dialog" in client.get(url_of(run, "delete"), headers=HTMX).content
    for typed in ("", "delete", f"{run.pk}", f"delete {run.pk + 1}"):
        answer = client.post(url_of(run, "delete"), {"confirm": typed})
        assert answer.status_code == 422 and b"to confirm" in answer.content
    assert Run.objects.filter(pk=run.pk).exists()
    gone = client.post(url_of(run, "delete"), {"confirm": f" Delete  {run.pk} "}, follow=True)
    assert gone.redirect_chain[-1][0] == "/w/alpha/runs/" and "is deleted" in gone.content.decode()
    assert not Run.objects.exists() and not Trial.objects.exists()
    assert AuditEvent.objects.filter(action="run.delete", target__startswith=f"run {run.pk}").exists()


def test_viewers_and_outsiders_cannot_delete(
    launched: Launched, client_of: Callable[[User], Client], viewer: User, outsider: User
) -> None:
    run = launched(2)
    typed = {"confirm": f"delete {run.pk}"}
    for user, status in ((viewer, 403), (outsider, 404)):
        assert client_of(user).get(url_of(run, "delete")).status_code == status
        assert client_of(user).post(url_of(run, "delete"), typed).status_code == status
    assert Run.objects.filter(pk=run.pk).exists()
