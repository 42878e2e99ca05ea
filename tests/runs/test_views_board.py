"""The board and its archive: what each card says and offers, who sees buttons, and what it costs."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.models import GridCell, Run, RunStatus, Tally, Trial, TrialState
from workspaces.models import User, Workspace

pytestmark = pytest.mark.django_db
Launched = Callable[..., Run]
ClientOf = Callable[[User], Client]
BOARD = "/w/alpha/runs/"


def put(
    run: Run, status: str, *, done: int = 0, passed: int = 0, ago: timedelta | None = None, **more: Any
) -> Run:
    """The run as it would stand: its counters, a tally, its grid."""
    finished = (
        timezone.now() - (ago or timedelta(minutes=5))
        if status in ("completed", "failed", "canceled")
        else None
    )
    started = timezone.now() - timedelta(minutes=10) - (ago or timedelta())
    values = {
        "status": status,
        "done": done,
        "answered": done,
        "started_at": started,
        "finished_at": finished,
    }
    Run.objects.filter(pk=run.pk).update(**(values | more))
    if done:
        Tally.objects.create(run=run, scorer="numeric", scored=done, passed=passed, value_sum=passed)
        GridCell.objects.create(run=run, cell=0, done=1, passed=1)
    run.refresh_from_db()
    return run


def page(client: Client, url: str = BOARD) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_new_workspace_is_told_the_next_step(
    client_of: ClientOf, editor: User, viewer: User, dataset: Any
) -> None:
    assert "First, upload a dataset" in page(client_of(editor))
    dataset(3)
    assert "Next, a model to ask" in page(client_of(editor))
    assert "No runs yet" in page(client_of(viewer))


def test_a_pending_run_says_what_it_waits_for(launched: Launched, client_of: ClientOf, editor: User) -> None:
    run = launched(4)
    html = page(client_of(editor))
    assert f'id="run-{run.pk}"' in html and "Waiting for a worker" in html
    assert "No score yet" in html and "1 waiting" in html


def test_a_running_card_shows_score_with_interval_and_grid(
    launched: Launched, client_of: ClientOf, viewer: User
) -> None:
    run = put(launched(10), "running", done=8, passed=6)
    Trial.objects.filter(run=run, seq=9).update(state=TrialState.LEASED, lease_until_ms=2**42)
    html = page(client_of(viewer))
    assert "<b>75.0%</b>" in html and "[40.9, 92.9] so far" in html
    assert "8 of 10 items done, 6 correct, 1 in flight" in html
    assert 'data-elapsed-since="' in html


def test_a_failure_says_what_happened_and_offers_the_next_step(
    launched: Launched, client_of: ClientOf, editor: User
) -> None:
    run = put(
        launched(10), "failed", done=4, passed=1, errored=2, status_reason="The provider refused requests"
    )
    Trial.objects.filter(run=run, seq__lte=2).update(state=TrialState.ERRORED, error="Timeout after 60 s")
    html = page(client_of(editor))
    assert "The provider refused requests." in html and "2 items: Timeout after 60 s" in html
    assert "Retry 2 and resume" in html and "verdict=errored" in html and "1 needs attention" in html


@pytest.mark.parametrize(
    ("status", "more", "words"),
    [
        ("paused", {"status_reason": "Enter a valid key, then resume."}, "Resume</button>"),
        ("canceled", {"canceled": 6}, "Resume remaining 6"),
        ("completed", {"done": 9, "errored": 1}, "1 item has no response."),
    ],
)
def test_what_stopped_can_be_taken_up_again(
    status: str, more: dict[str, Any], words: str, launched: Launched, client_of: ClientOf, editor: User
) -> None:
    put(launched(10), status, done=more.pop("done", 4), passed=2, **more)
    assert words in page(client_of(editor))


def test_a_stopped_card_does_not_contradict_its_count(
    launched: Launched, client_of: ClientOf, editor: User
) -> None:
    put(launched(4), "paused", done=0)
    put(launched(4), "failed", done=0, errored=4, status_reason="No item could be answered.")
    html = page(client_of(editor))
    assert "Finished items are kept." in html and "No item had finished." not in html


def test_viewers_see_no_buttons(launched: Launched, client_of: ClientOf, viewer: User) -> None:
    for status in ("running", "paused", "failed", "canceled", "completed"):
        put(launched(5), status, done=3, errored=1)
    html = page(client_of(viewer))
    for word in (
        "Launch run</a>",
        "Cancel run",
        "Resume",
        "Retry",
        "Delete run",
        '<form method="post" action="/w/alpha/runs',
    ):
        assert word not in html, word


def test_the_archive_lists_every_finished_run_and_the_board_those_of_the_hour(
    launched: Launched, client_of: ClientOf, viewer: User
) -> None:
    fresh = put(launched(2), "completed", done=2, passed=1)
    old = put(launched(2), "completed", done=2, passed=1, ago=timedelta(hours=2))
    html = page(client_of(viewer))
    assert f'id="run-{fresh.pk}"' in html and f'id="archive-{fresh.pk}"' in html
    assert f'id="archive-{old.pk}"' in html and f'id="run-{old.pk}"' not in html


@pytest.fixture
def archive(launched: Launched) -> list[Run]:
    hours = timedelta(hours=1)
    return [
        put(launched(2, alias="kiwi", label="nightly"), "completed", done=2, passed=2, ago=5 * hours),
        put(launched(2, alias="mango"), "failed", ago=3 * hours),
        put(launched(2, alias="papaya"), "completed", done=2, ago=4 * hours),
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "mango papaya kiwi"),
        ("?sort=finished", "kiwi papaya mango"),
        ("?q=NIGHT", "kiwi"),
        ("?q=ang", "mango"),
        ("?q=stub-model", "mango papaya kiwi"),
        ("?status=failed", "mango"),
        ("?status=completed&sort=finished", "kiwi papaya"),
        ("?q=nothing-like-it", ""),
        ("?after=x&before=y&dataset=z&status=w", "mango papaya kiwi"),
        ("?after=9999999999999999999-9", "mango papaya kiwi"),
    ],
)
def test_the_archive_is_searched_filtered_and_sorted_by_its_url(
    query: str, found: str, archive: list[Run], client_of: ClientOf, viewer: User
) -> None:
    answer = client_of(viewer).get(BOARD + query)
    assert [row.run.alias for row in answer.context["archive"].rows] == found.split()


def test_a_run_is_found_by_its_number_and_its_dataset(
    archive: list[Run], client_of: ClientOf, viewer: User
) -> None:
    client, wanted = client_of(viewer), archive[1]
    for query in (f"q=%23{wanted.pk}", f"q={wanted.pk}", f"dataset={wanted.dataset_version.dataset_id}"):
        rows = client.get(f"{BOARD}?{query}").context["archive"].rows
        assert wanted in [row.run for row in rows]
    assert len(rows) == 1


def test_the_archive_pages_by_key_both_ways(
    launched: Launched, client_of: ClientOf, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.selectors_pages.ARCHIVE_ROWS", 2)
    same = timedelta(hours=2)
    runs = [put(launched(1, alias=f"r{number}"), "completed", ago=same) for number in range(5)]
    Run.objects.update(finished_at=timezone.now() - same)  # the id decides
    client, seen, url = client_of(viewer), [], BOARD
    pages = []
    while url:
        shown = client.get(url).context["archive"]
        pages.append([row.run.pk for row in shown.rows])
        url = f"{BOARD}?after={shown.older}" if shown.older else ""
        last = shown
    seen = [pk for each in pages for pk in each]
    assert seen == [run.pk for run in reversed(runs)] and [len(each) for each in pages] == [2, 2, 1]
    back = client.get(f"{BOARD}?before={last.newer}").context["archive"]
    assert [row.run.pk for row in back.rows] == pages[1] and back.newer and back.older


def test_htmx_gets_the_archive_alone(archive: list[Run], client_of: ClientOf, viewer: User) -> None:
    html = client_of(viewer).get(BOARD, headers={"HX-Request": "true", "HX-Target": "archive-rows"}).content
    assert b'id="archive-rows"' in html and b"<html" not in html


@pytest.mark.parametrize("kind", ["board", "archive"])
def test_the_number_of_queries_does_not_grow(
    kind: str, launched: Launched, client_of: ClientOf, editor: User
) -> None:
    ago = timedelta(hours=2) if kind == "archive" else None
    client = client_of(editor)

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            page(client)
        return len(captured)

    for status in ("completed", "failed"):
        put(launched(3), status, done=2, errored=1, ago=ago)
    page(client)
    few = queries()
    for _ in range(4):
        put(launched(3), "completed", done=2, errored=1, ago=ago)
    assert queries() == few <= 20


def test_fragments_are_read_again_for_this_page_only(
    launched: Launched, client_of: ClientOf, viewer: User, outsider: User
) -> None:
    first, second = put(launched(2), "running"), put(launched(2), "running")
    client = client_of(viewer)
    board = page(client, f"{BOARD}fragments/?view=board")
    assert (
        f'id="run-{first.pk}"' in board and f'id="run-{second.pk}"' in board and 'id="runs-summary"' in board
    )
    one = page(client, f"{BOARD}fragments/?view=run&run={first.pk}")
    assert f'id="run-{first.pk}-metrics"' in one and f"run-{second.pk}" not in one
    assert (
        client_of(outsider).get(f"/w/beta/runs/fragments/?view=run&run={first.pk}").content.count(b"run-") < 3
    )


def test_aliases_and_reasons_are_text(launched: Launched, client_of: ClientOf, viewer: User) -> None:
    put(
        launched(2, alias="<script>alert(1)</script>"),
        RunStatus.FAILED,
        status_reason="<img src=x onerror=y>",
    )
    html = page(client_of(viewer))
    assert "<script>alert" not in html and "<img src=x" not in html


def test_the_switcher_and_the_board_keep_to_their_workspace(
    launched: Launched, client_of: ClientOf, outsider: User, beta: Workspace
) -> None:
    launched(2, alias="hidden-alias")
    client = client_of(outsider)
    assert client.get(BOARD).status_code == 404
    assert "hidden-alias" not in page(client, "/w/beta/runs/")


@pytest.mark.parametrize("query", ["q=²", "q=%00", "after=²-1", "after=%00", "dataset=²", "launch=1&from=²"])
def test_a_query_that_makes_no_sense_is_no_fault(query: str, client_of: ClientOf, viewer: User) -> None:
    assert client_of(viewer).get(f"/w/alpha/runs/?{query}").status_code == 200
