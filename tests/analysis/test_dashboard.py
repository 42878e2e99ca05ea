"""The workspace's home: what runs, what needs a person, results against the run before, readiness, spend."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analysis.models import TriagedItem
from analysis.templatetags.analysis_ui import PAST, SAID, deed
from registry.models import Provider
from runs.engine.clock import now_ms
from runs.models import MonthlySpend, ProviderDemand, ProviderHold, Run, Trial
from tests.analysis.conftest import Made
from workspaces import audit
from workspaces.access import access_for
from workspaces.models import AuditEvent, User, Workspace

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
    assert (
        '+25.0 <span class="ci-text">[' in page
        and "pts </span>" not in page
        and f"against #{three[0].pk}" in page
    )
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
    for action in ("token.create", "hub_token.set", "invitation.create", "webhook.set"):
        audit.record(access_for(owner, "alpha"), action, "secret name")
    page = text_of(client_of(viewer))
    assert "20 of 40 items" in page and f'id="active-{three[1].pk}"' in page
    assert "$1.25" in page and "Imported dataset: Numbers v1" in page and "secret name" not in page


def test_providers_as_the_workers_treat_them(
    three: list[Run], beta: Workspace, model: Any, editor: User, client_of: ClientOf
) -> None:
    """Busy ones first; with the runs that call them, a hold and its reason, and nobody else's."""
    busy = model()
    calm = Provider.objects.create(workspace=busy.workspace, name="Calm", base_url="http://127.0.0.1:9/v1")
    Provider.objects.create(workspace=beta, name="Foreign", base_url="http://127.0.0.1:9/v1")
    Run.objects.filter(pk=three[1].pk).update(status="running", model=busy)
    now = now_ms()
    ProviderDemand.objects.create(
        provider=busy.provider, owner="w", wanted=9, limit=8, in_flight=3, until_ms=now + 20_000
    )
    ProviderHold.objects.create(provider=calm, open_until_ms=now + 60_000, reason="Answers 503")
    page = text_of(client_of(editor))
    panel = page.partition('id="providers"')[2].partition("</section>")[0]
    assert f"Running #{three[1].pk}, 3 of" in panel and "Not checked" in panel
    assert "Answers 503</small><small>Until " in panel and "Left alone" in panel and "Foreign" not in panel
    assert panel.index(busy.provider.name) < panel.index("Calm")


def test_it_costs_the_same_whatever_there_is(
    three: list[Run], dataset: Any, scored_run: Made, viewer: User, client_of: ClientOf
) -> None:
    client, counts = client_of(viewer), []
    for _ in range(2):
        finished([*Run.objects.order_by("pk")])
        text_of(client)  # differences are kept from here on
        with CaptureQueriesContext(connection) as queries:
            text_of(client)
        counts.append(len(queries))
        version = dataset(3, name=f"Further {len(counts)}")
        for outcomes in ([1, 0, 1], [1, 1, 1], [0, 0, "errored"]):
            scored_run(version, outcomes)
        Provider.objects.create(
            workspace=version.dataset.workspace, name=f"More {len(counts)}", base_url="http://127.0.0.1:9/v1"
        )
    assert counts[0] == counts[1] <= 27, counts


@pytest.mark.parametrize(
    ("action", "target", "words"),
    [
        ("run.cancel", "run 5", "Canceled run 5"),
        ("run.retry", "run 5", "Retried run 5"),
        ("run.misses_download", "run 5", "Downloaded the misses of run 5"),
        ("run.import_answers", "run 5", "Imported answers into run 5"),
        ("judge.check_controls", "Correctness", "Asked the control set of judge: Correctness"),
        ("benchmark.evaluation_delete", "B on Sums (#3)", "Deleted evaluation: B on Sums (#3)"),
        ("evaluation_task.create", "Nightly", "Created evaluation task: Nightly"),
        ("item.triage", "item 8 in run 3", "Triaged item 8 in run 3"),
    ],
)
def test_deeds_are_said_in_words(action: str, target: str, words: str) -> None:
    assert deed(AuditEvent(action=action, target=target)) == words


def test_a_verb_of_two_words_has_its_own_past() -> None:
    """Of what is recorded anywhere: no `Import answersed`, no `Retryed`."""
    calls = (
        r'"((?:run|item|judge|dataset|draft|subset|benchmark|gate|comparison|generation|review_sample|member)'
    )
    found = {
        action
        for app in ("runs", "analysis", "judges", "datasets", "benchmarks", "generation", "workspaces")
        for path in (settings.BASE_DIR / app).rglob("*.py")
        for action in re.findall(calls + r'\.[a-z_]+)"(?:,| if)', path.read_text())
        if "serializers" not in path.name and "exports" not in path.parts and "bundles" not in path.parts
    }
    odd = {action for action in found if re.search(r"_|[^aeiou]y$", action.partition(".")[2])}
    assert len(found) > 20 and {action for action in odd if action not in SAID} <= {
        action for action in found if action.partition(".")[2] in PAST
    }


def test_live_parts_are_read_again(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    page = text_of(client_of(viewer), f"{HOME}dashboard/fragments/")
    for part in ("attention", "active", "recent", "readiness", "providers", "week", "activity", "month"):
        assert f'id="{part}"' in page
    assert page.count('hx-swap-oob="true"') == 8 and "<html" not in page


def test_nothing_of_another_workspace(three: list[Run], outsider: User, client_of: ClientOf) -> None:
    client = client_of(outsider)
    assert client.get(HOME).status_code == 404
    assert f"#{three[0].pk} ·" not in text_of(client, "/w/beta/")
