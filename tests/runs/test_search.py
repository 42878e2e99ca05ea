"""Looking through large runs: bounded in time, and it goes on from where it stopped."""

from collections.abc import Callable

import pytest
from django.test import Client

from runs import selectors_search
from runs.models import Run, Trial
from runs.selectors import TrialFilter, trial_page
from runs.selectors_search import FIRST_ROWS, Look, look
from workspaces.models import User

Launched = Callable[..., Run]
ITEMS = FIRST_ROWS + 100
LATE, LATER = FIRST_ROWS + 50, FIRST_ROWS + 60


@pytest.fixture
def run(launched: Launched) -> Run:
    """Pending; found are the second, and two beyond the first step."""
    run = launched(ITEMS, scorers=[{"key": "numeric"}, {"key": "contains"}])
    Trial.objects.filter(run=run, seq__in=(2, LATE, LATER)).update(response="a pearl")
    return run


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors_search, "LOOK_S", 0.0)


@pytest.fixture
def client(client_of: Callable[[User], Client], viewer: User) -> Client:
    return client_of(viewer)


def pearls(run: Run, start: int, end: int, wanted: int = 26) -> Look:
    return look(run.trials.filter(response__contains="pearl"), start=start, end=end, wanted=wanted)


def test_it_looks_both_ways_until_enough_is_found(run: Run) -> None:
    assert pearls(run, 0, ITEMS) == Look([2, LATE, LATER], None)
    assert pearls(run, 0, ITEMS, wanted=2).found == [2, LATE]
    assert pearls(run, LATER, 1) == Look([LATE, 2], None)
    assert pearls(run, 2, 1) == Look([], None)
    assert pearls(run, ITEMS, ITEMS) == Look([], None)


def test_it_stops_in_time_and_says_where(run: Run, hurried: None) -> None:
    assert pearls(run, 0, ITEMS) == Look([2], FIRST_ROWS)
    assert pearls(run, FIRST_ROWS, ITEMS) == Look([LATE, LATER], None)
    assert pearls(run, ITEMS + 1, 1) == Look([LATER, LATE], ITEMS + 1 - FIRST_ROWS)


def test_a_page_shows_what_was_found_and_goes_on(client: Client, run: Run, hurried: None) -> None:
    url = f"/w/alpha/runs/{run.pk}/"
    first = client.get(f"{url}?q=pearl")
    assert [trial.seq for trial in first.context["trials"].rows] == [2]
    assert f"Looked through {FIRST_ROWS:,} of {ITEMS:,} items" in first.content.decode()
    assert f"?q=pearl&amp;after={FIRST_ROWS}" in first.content.decode()
    part = {"hx-request": "true", "hx-target": "search-on"}
    last = client.get(f"{url}?q=pearl&after={FIRST_ROWS}", headers=part)
    assert [trial.seq for trial in last.context["trials"].rows] == [LATE, LATER]
    assert f"Looked through all {ITEMS:,} items" in last.content.decode()
    back = client.get(f"{url}?q=pearl&before={LATE}").context["trials"]
    assert [trial.seq for trial in back.rows] == [] and back.newer == str(LATE - FIRST_ROWS)
    assert [
        trial.seq for trial in client.get(f"{url}?q=pearl&before={back.newer}").context["trials"].rows
    ] == [2]


def test_without_a_hit_it_says_so_only_at_the_end(client: Client, run: Run, hurried: None) -> None:
    url = f"/w/alpha/runs/{run.pk}/?q=diamond"
    assert "No item matches" not in client.get(url).content.decode()
    assert "No further item matches" in client.get(f"{url}&after={FIRST_ROWS}").content.decode()


def test_the_drawer_steps_as_far_as_it_sees(client: Client, run: Run, hurried: None) -> None:
    context = client.get(f"/w/alpha/runs/{run.pk}/?q=pearl&item={LATE}").context
    assert (context["previous"], context["following"]) == (None, LATER)


def test_waiting_items_are_listed_in_order_whatever_their_state(client: Client, run: Run) -> None:
    Trial.objects.filter(run=run, seq__in=(1, 30)).update(state="waiting")
    Trial.objects.filter(run=run, seq__in=(2, 31)).update(state="leased")
    Trial.objects.filter(run=run, seq=3).update(state="done")
    Run.objects.filter(pk=run.pk).update(done=1)
    url = f"/w/alpha/runs/{run.pk}/?verdict=waiting"
    first = client.get(url).context["trials"]
    assert [trial.seq for trial in first.rows] == [1, 2, *range(4, 27)]
    second = client.get(f"{url}&after={first.older}").context["trials"]
    assert [trial.seq for trial in second.rows] == list(range(27, 52))
    back = client.get(f"{url}&before={second.newer}").context["trials"]
    assert [trial.seq for trial in back.rows] == [1, 2, *range(4, 27)]


def test_a_judgings_numbers_leave_gaps(run: Run) -> None:
    judging = Run.objects.create(
        workspace=run.workspace, evaluation=run.evaluation, dataset_version=run.dataset_version, judged=run,
        passes=2, total=1, config={**run.config, "variations": []},
    )  # fmt: skip
    item = run.trials.values_list("item", flat=True)[0]
    Trial.objects.create(run=judging, item_id=item, seq=2 * ITEMS, response="a pearl")
    assert [trial.seq for trial in trial_page(judging, TrialFilter(q="pearl")).rows] == [2 * ITEMS]
