"""Triage: a decision on an item of a run, shared, visible on the comparison, and the item asked again."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from analysis.models import TriagedItem
from datasets.models import Item
from registry.models import RegisteredModel
from runs.engine import host
from runs.engine.host import run_to_end
from runs.models import Run, Trial
from tests.analysis.conftest import Made
from tests.runs.scripted_judge import ScriptedJudge
from tests.stub_endpoint import StubEndpoint
from workspaces.models import AuditEvent, User, Workspace

ClientOf = Callable[[User], Client]
TRIAGE = "/w/alpha/triage/"


def decide(client: Client, runs: list[Run], **values: Any) -> Any:
    item = Trial.objects.get(run=runs[1], seq=1).item_id
    known = {"run": runs[1].pk, "baseline": runs[0].pk, "item": item, "scorer": "numeric", "state": "real"}
    back = f"?runs={runs[0].pk},{runs[1].pk}&item={item}"
    return client.post(f"{TRIAGE}keep/", known | {"back": back} | values)


def test_a_decision_is_shared_and_shown(
    three: list[Run], editor: User, viewer: User, client_of: ClientOf
) -> None:
    client, reader = client_of(editor), client_of(viewer)
    compare = f"/w/alpha/compare/?runs={three[0].pk},{three[1].pk}"
    assert "to triage <b>2</b>" in reader.get(compare).content.decode()
    answer = decide(client, three, assignee=viewer.pk, comment="It drops the tens.")
    assert answer.status_code == 302 and answer["Location"].endswith("#pair-diff")
    assert answer["Location"].startswith(compare)
    row = TriagedItem.objects.get()
    assert (row.state, row.assignee, row.changed_by, row.baseline) == ("real", viewer, editor, three[0])
    page = reader.get(compare).content.decode()
    assert "to triage <b>1</b>" in page and ">Real</span>" in page
    shared = reader.get(f"{TRIAGE}?state=real&mine=1").content.decode()
    assert "It drops the tens." in shared and "Viewer" in shared
    assert "Nothing matches" in reader.get(f"{TRIAGE}?state=flaky").content.decode()
    assert AuditEvent.objects.get(action="item.triage").detail == {"state": "real"}


def test_a_later_decision_replaces_it(three: list[Run], editor: User, client_of: ClientOf) -> None:
    client = client_of(editor)
    for state in ("real", "flaky"):
        decide(client, three, state=state)
    assert list(TriagedItem.objects.values_list("state", flat=True)) == ["flaky"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": "nonsense"}, "nonsense"),
        ({"comment": "x" * 2001}, "2000"),
        ({"run": "x"}, "whole number"),
        ({"assignee": 10**9}, "Only a member"),
    ],
)
def test_what_cannot_be_kept_is_said(
    values: Any, words: str, three: list[Run], editor: User, client_of: ClientOf
) -> None:
    answer = decide(client_of(editor), three, **values)
    assert answer.status_code == 422 and words in answer.content.decode()
    assert not TriagedItem.objects.exists()


def test_viewers_and_outsiders_decide_nothing(
    three: list[Run], viewer: User, outsider: User, beta: Workspace, client_of: ClientOf
) -> None:
    assert decide(client_of(viewer), three).status_code == 403
    item = Trial.objects.get(run=three[1], seq=1).item_id
    foreign = {"run": three[1].pk, "item": item, "state": "real"}
    for path in ("keep", "again"):
        assert client_of(outsider).post(f"/w/beta/triage/{path}/", foreign).status_code == 404
    assert not TriagedItem.objects.exists()


def test_an_item_of_another_dataset_does_not_exist(
    three: list[Run], dataset: Any, editor: User, client_of: ClientOf
) -> None:
    other = Item.objects.filter(version=dataset(1)).first()
    assert other and decide(client_of(editor), three, item=other.pk).status_code == 404


def test_it_never_leads_to_another_address(three: list[Run], editor: User, client_of: ClientOf) -> None:
    answer = decide(client_of(editor), three, back="//evil.example/?runs=1")
    assert answer["Location"].startswith("/w/alpha/")


@pytest.fixture
def asked_before(scored_run: Made, dataset: Any, model: Callable[..., RegisteredModel]) -> list[Run]:
    """Two runs over three items; the second asked a model and got the second item wrong."""
    version = dataset(3)
    runs = [scored_run(version, [1, 1, 1]), scored_run(version, [1, 0, 1])]
    config = runs[1].config | {
        "responses": "fresh",
        "template": "{{ input }}",
        "params": {"temperature": 0.5},
    }
    Run.objects.filter(pk=runs[1].pk).update(model=model(), config=config)
    return runs


def test_an_item_is_asked_again_five_times(
    asked_before: list[Run], editor: User, client_of: ClientOf
) -> None:
    """A run of its own with the run's own settings, on that item alone."""
    first, second = asked_before
    client, item = client_of(editor), Trial.objects.get(run=second, seq=2).item
    answer = client.post(f"{TRIAGE}again/", {"run": second.pk, "item": item.pk})
    made = Run.objects.latest("pk")
    assert answer["Location"] == f"/w/alpha/runs/{made.pk}/"
    assert list(made.trials.values_list("item", "epoch")) == [(item.pk, epoch) for epoch in range(1, 6)]
    assert (made.total, made.alias, made.config["params"]["temperature"]) == (
        5,
        f"{second.alias}, again",
        0.5,
    )
    row = TriagedItem.objects.get()
    assert (row.again, row.state, row.run) == (made, "open", second)
    client.post(f"{TRIAGE}again/", {"run": second.pk, "item": item.pk})
    assert Run.objects.latest("pk") == made, "a second click asks nothing more"
    Run.objects.filter(pk=made.pk).update(
        status="completed", created_at=timezone.now() - timedelta(minutes=5)
    )
    client.post(f"{TRIAGE}again/", {"run": second.pk, "item": item.pk})
    assert Run.objects.latest("pk") != made
    own = Trial.objects.get(run=first, seq=2).item
    refused = client.post(f"{TRIAGE}again/", {"run": first.pk, "item": own.pk}, follow=True)
    assert "nothing to ask again" in refused.content.decode()


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        ((0, 0, 0, 0, 0), "Not flaky: wrong all 5 times again; right in 0.0% [0.0, 43.4], n = 5."),
        ((1, 0, 1, 0, 1), "Flaky: wrong first, then right 3 of 5 times; right in 60.0% [23.1, 88.2], n = 5."),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_its_five_answers_say_whether_it_is_flaky(
    rights: Sequence[int],
    words: str,
    asked_before: list[Run],
    editor: User,
    client_of: ClientOf,
    stub: StubEndpoint,
) -> None:
    turn = count()
    stub.set(script=ScriptedJudge(answer=lambda number, _: f"ANSWER: {4 if rights[next(turn) % 5] else 5}"))
    client, second = client_of(editor), asked_before[1]
    item = Trial.objects.get(run=second, seq=2).item_id
    page = f"/w/alpha/compare/?runs={asked_before[0].pk},{second.pk}&item={item}"
    asked = {"run": second.pk, "item": item, "back": page.partition("/compare/")[2]}
    answer = client.post(f"{TRIAGE}again/", asked)
    assert answer["Location"] == f"{page}#pair-diff"
    waiting = client.get(page).content.decode()
    assert "0 of 5 answers so far" in waiting and 'hx-trigger="every 2s"' in waiting
    try:
        run_to_end(Run.objects.latest("pk").pk)
    finally:
        host.stop_all()
    part = client.get(page, headers={"hx-request": "true", "hx-target": "again"})
    told = part.content.decode()
    assert words in told and "every 2s" not in told
    again = part.context["again"]
    assert sorted(int(cell.right) for cell in again.cells) == sorted(rights) and again.flaky == any(rights)
    assert sorted(cell.answer for cell in again.cells) == sorted("4" if right else "5" for right in rights)
