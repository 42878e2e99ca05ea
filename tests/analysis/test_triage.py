"""Triage: a decision on an item of a run, shared, visible on the comparison, and the item asked again."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from analysis.models import TriagedItem
from datasets.models import Item
from registry.models import RegisteredModel
from runs.models import Run, Trial
from tests.analysis.conftest import Made
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


def test_an_item_is_asked_again_five_times(
    scored_run: Made,
    dataset: Any,
    model: Callable[..., RegisteredModel],
    editor: User,
    client_of: ClientOf,
) -> None:
    """A run of its own with the run's own settings, on that item alone."""
    runs = [scored_run(dataset(3), [1, 0, 1]) for _ in range(2)]
    config = runs[1].config | {
        "responses": "fresh",
        "template": "{{ input }}",
        "params": {"temperature": 0.5},
    }
    Run.objects.filter(pk=runs[1].pk).update(model=model(), config=config)
    client, item = client_of(editor), Trial.objects.get(run=runs[1], seq=2).item
    answer = client.post(f"{TRIAGE}again/", {"run": runs[1].pk, "item": item.pk})
    made = Run.objects.latest("pk")
    assert answer["Location"] == f"/w/alpha/runs/{made.pk}/"
    assert list(made.trials.values_list("item", "epoch")) == [(item.pk, epoch) for epoch in range(1, 6)]
    assert (made.total, made.alias, made.config["params"]["temperature"]) == (
        5,
        f"{runs[1].alias}, again",
        0.5,
    )
    refused = client.post(f"{TRIAGE}again/", {"run": runs[0].pk, "item": item.pk}, follow=True)
    assert refused.status_code == 404  # not an item of that run
    own = Trial.objects.get(run=runs[0], seq=2).item
    refused = client.post(f"{TRIAGE}again/", {"run": runs[0].pk, "item": own.pk}, follow=True)
    assert "nothing to ask again" in refused.content.decode()
