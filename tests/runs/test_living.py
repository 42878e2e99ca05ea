"""Data in use: runs on a subset, items across runs, and datasets made of misses."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from datasets import services_drafts
from datasets.filters import ItemFilter
from datasets.models import Dataset, DatasetVersion, Subset
from runs.engine.host import run_to_end
from runs.models import Run
from runs.selectors import TrialFilter
from runs.selectors_items import hardest, history_of, record_of
from runs.services import Launch, LaunchProblems, launch, misses
from workspaces.access import Access
from workspaces.models import User, Workspace
from workspaces.services import Refused

Launched = Callable[..., Run]
WRONG = [
    {"prompt": f"{n} + 0? [[answer:{n + 1}]]", "references": [str(n)], "external_id": f"w{n}"}
    for n in range(3)
]
RIGHT = [
    {"prompt": f"{n} + 1? [[answer:{n + 1}]]", "references": [str(n + 1)], "section": "b"} for n in range(4)
]


@pytest.fixture
def run(engine: None, launched: Launched) -> Run:
    """Three wrong, four right, one wrong without a reference."""
    made = launched([*WRONG, *RIGHT], responses="fresh")
    run_to_end(made.pk)
    made.refresh_from_db()
    return made


def subset_of(access: Access, version: DatasetVersion, **values: Any) -> Subset:
    known: dict[str, Any] = {"name": "Part", "wanted": ItemFilter()}
    return services_drafts.subset_create(access, version.dataset, **(known | values))


# Subsets at a launch


@pytest.mark.django_db(transaction=True)
def test_running_again_says_that_the_subset_is_gone(
    alpha_access: Access, dataset: Any, launched: Launched, editor: User, client_of: Callable[[User], Client]
) -> None:
    version = dataset(40)
    subset = subset_of(alpha_access, version, name="Hard ones", size=6)
    made = launched(version=version, subset_id=subset.pk)
    url, client = f"/w/alpha/runs/launch/?from={made.pk}", client_of(editor)
    assert "was deleted" not in client.get(url).content.decode()
    subset.delete()
    assert "“Hard ones” of that run was deleted" in client.get(url).content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_run_on_a_subset_asks_its_items_alone(
    engine: None, alpha_access: Access, dataset: Any, launched: Launched
) -> None:
    version = dataset(40)
    subset = subset_of(alpha_access, version, wanted=ItemFilter(section="odd"), size=6, seed=3)
    made = launched(version=version, subset_id=subset.pk, epochs=2)
    assert made.total == 12
    trials = list(made.trials.order_by("seq").values_list("seq", "item__section", "epoch"))
    assert [seq for seq, _, _ in trials] == list(range(1, 13))
    assert {section for _, section, _ in trials} == {"odd"}
    frozen = made.config["dataset"]["subset"]
    assert (frozen["id"], frozen["name"], frozen["seed"], frozen["items"]) == (subset.pk, "Part", 3, 6)
    run_to_end(made.pk)
    made.refresh_from_db()
    assert (made.status, made.done) == ("completed", 12)
    services_drafts.subset_delete(alpha_access, subset)
    made.refresh_from_db()
    assert made.config["dataset"]["subset"]["filter"] == {"section": "odd"}


@pytest.mark.django_db
def test_a_subset_meets_the_other_limits(alpha_access: Access, dataset: Any, model: Any) -> None:
    version = dataset(40)
    subset = subset_of(alpha_access, version, size=10)
    known: dict[str, Any] = {
        "dataset_version_id": version.pk, "model_ids": [model().pk], "scorers": [{"key": "numeric"}],
        "subset_id": subset.pk,
    }  # fmt: skip
    assert launch(alpha_access, Launch(**known, limit=3)).runs.get().total == 3
    made = launch(alpha_access, Launch(**known, sections=["even"])).runs.get()
    assert (made.total, made.trials.count()) == (5, 5)
    other = subset_of(alpha_access, dataset(3), size=1)
    empty = subset_of(alpha_access, version, name="None", wanted=ItemFilter(q="nothing of it"))
    for wrong in (other.pk, empty.pk, 10**9):
        with pytest.raises(LaunchProblems) as refused:
            launch(alpha_access, Launch(**(known | {"subset_id": wrong})))
        assert list(refused.value.problems) == ["subset_id"]


@pytest.mark.django_db
def test_the_sheet_offers_subsets(
    alpha_access: Access, dataset: Any, editor: User, client_of: Callable[[User], Client]
) -> None:
    version = dataset(5)
    subset = subset_of(alpha_access, version, name="<Two>", size=2)
    client = client_of(editor)
    page = client.get(
        f"/w/alpha/runs/launch/?dataset_version={version.pk}&subset={subset.pk}"
    ).content.decode()
    assert f'<option value="{subset.pk}" selected>&lt;Two&gt;</option>' in page


# Items across runs


@pytest.mark.django_db(transaction=True)
def test_items_are_sorted_by_difficulty(run: Run, alpha: Workspace, launched: Launched) -> None:
    again = launched(version=run.dataset_version)
    run_to_end(again.pk)
    page = hardest(alpha, run.dataset_version)
    assert [(row.passed, row.estimate.n) for row in page.rows] == [(0, 2)] * 3 + [(2, 2)] * 4
    assert [row.item.external_id for row in page.rows[:3]] == ["w0", "w1", "w2"]
    after = hardest(alpha, run.dataset_version, after=page.rows[2].cursor)
    assert [row.passed for row in after.rows] == [2] * 4
    assert len(hardest(alpha, run.dataset_version, section="b").rows) == 4
    assert hardest(alpha, run.dataset_version, after="x-y").rows


@pytest.mark.django_db(transaction=True)
def test_an_item_keeps_its_history_over_versions(
    run: Run, alpha: Workspace, alpha_access: Access, launched: Launched
) -> None:
    draft = services_drafts.draft_start(alpha_access, run.dataset_version)
    services_drafts.draft_edit(alpha_access, draft, 1, {"references": ["1"]})
    version = services_drafts.draft_publish(alpha_access, draft)
    assert version is not None
    later = launched(version=version)
    run_to_end(later.pk)
    item = version.items.get(position=1)
    assert [trial.run_id for trial in history_of(alpha, item)] == [later.pk, run.pk]
    record = record_of(alpha, item)
    assert record is not None and (record.value, record.n) == (0.5, 2)
    assert run.dataset_version.items.get(position=1).references == ["0"]


@pytest.mark.django_db(transaction=True)
def test_pages_of_items_cost_the_same(
    run: Run, viewer: User, client_of: Callable[[User], Client], launched: Launched
) -> None:
    client, item = client_of(viewer), run.dataset_version.items.get(position=1)
    for url in (
        f"/w/alpha/runs/difficulty/{run.dataset_version_id}/",
        f"/w/alpha/runs/items/{item.pk}/history/",
    ):
        client.get(url)
        with CaptureQueriesContext(connection) as few:
            page = client.get(url).content.decode()
        assert "[[answer:1]]" in page
        for _ in range(3):
            launched(version=run.dataset_version)
        client.get(url)
        with CaptureQueriesContext(connection) as more:
            client.get(url)
        assert len(few) <= 12 and len(more) <= len(few) + 1, url  # whether a run is active is asked or known


# Misses


@pytest.mark.django_db(transaction=True)
def test_misses_become_a_dataset_with_their_origin(run: Run, alpha_access: Access) -> None:
    made = misses.misses_register(alpha_access, run, TrialFilter(), name="Misses")
    assert [item.external_id for item in made.items.order_by("position")] == ["w0", "w1", "w2"]
    assert (made.dataset.name, made.number, made.item_count, made.sections) == ("Misses", 1, 3, [])
    assert made.origin["run"] == run.pk and made.origin["filter"] == {"verdict": "incorrect"}
    assert made.origin["content_hash"] == run.dataset_version.content_hash
    with pytest.raises(Refused, match="Another dataset"):
        misses.misses_register(alpha_access, run, TrialFilter(), name="Misses")
    with pytest.raises(Refused, match="no such items"):
        misses.misses_register(alpha_access, run, TrialFilter(verdict="errored"), name="Nothing")
    assert Dataset.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_misses_become_chats_with_the_reference_last(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(config=run.config | {"template": "Q: {{ input }}"})
    run.refresh_from_db()
    run.dataset_version.items.filter(position=2).update(references=[])
    lines = [json.loads(line) for line in misses.chat_lines(run, misses.missed_items(run, TrialFilter()))]
    assert lines[0] == {
        "messages": [
            {"role": "user", "content": "Q: 0 + 0? [[answer:1]]"}, {"role": "assistant", "content": "0"},
        ]
    }  # fmt: skip
    assert len(lines) == 2
    right = misses.missed_items(run, TrialFilter(verdict="correct", section="b"))
    assert right.count() == 4


@pytest.mark.django_db(transaction=True)
def test_the_page_warns_and_carries_on(
    run: Run, editor: User, viewer: User, client_of: Callable[[User], Client]
) -> None:
    client, url = client_of(editor), f"/w/alpha/runs/{run.pk}/misses/"
    page = client.get(url).content.decode()
    assert "Contamination" in page and "<b>3</b> incorrect items" in page
    assert b"".join(client.get(f"{url}chat/").streaming_content).count(b"\n") == 3  # type: ignore[attr-defined]
    kept = json.loads(b"".join(client.get(f"{url}provenance/").streaming_content))  # type: ignore[attr-defined]
    assert kept["run"] == run.pk and "must not be measured" in kept["warning"]
    assert "empty" in client.post(url, {"name": " "}).content.decode()
    answer = client.post(url, {"name": "Misses"})
    assert answer.status_code == 302
    assert "must not be measured on" in client.get(answer["Location"]).content.decode()
    assert "No such item" in client.get(url, {"verdict": "errored"}).content.decode()
    assert client_of(viewer).get(url).status_code == 403
    assert "Make a dataset" not in client_of(viewer).get(f"/w/alpha/runs/{run.pk}/").content.decode()
