"""The inspector: figures, sections, items with filters and keyset pages, the drawer, the log."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs.engine.host import run_to_end
from runs.models import Run, Trial
from tests.stub_endpoint import StubEndpoint
from workspaces.models import User

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]


@pytest.fixture
def run(launched: Launched, stub: StubEndpoint) -> Run:
    """30 items, some wrong, one of them never answered."""
    stub.set(accuracy=0.6)
    items = [
        {
            "prompt": f"What is {n} + {n}? [[answer:{2 * n}]]",
            "references": [str(2 * n)],
            "external_id": f"n{n}",
            "section": "even" if n % 2 == 0 else "odd",
        }
        for n in range(1, 30)
    ]
    items.append(
        {"prompt": "<b>Bold</b> [[fail:400]]", "references": ["1"], "section": "odd", "choices": ["0", "1"]}
    )
    made = launched(items, template="Please: {{ input }}", alias="kiwi")
    run_to_end(made.pk)
    made.refresh_from_db()
    return made


@pytest.fixture
def client(client_of: Callable[[User], Client], viewer: User) -> Client:
    return client_of(viewer)


def url_of(run: Run, query: str = "") -> str:
    return f"/w/alpha/runs/{run.pk}/{query}"


def shown(client: Client, run: Run, query: str = "") -> list[int]:
    return [trial.seq for trial in client.get(url_of(run, query)).context["trials"].rows]


def test_it_shows_figures_with_interval_and_n(client: Client, run: Run) -> None:
    html = client.get(url_of(run)).content.decode()
    right = Trial.objects.filter(run=run, passed=True).count()
    for word in (
        "Accuracy", "Answer rate", "Latency p50", "Errors left", "n\u00a0=\u00a029", "1 errored not counted",
        f"{100 * right / 29:.1f}<small>%</small>", "odd", "even", "Processing: ", "Please: {{ input }}",
        "1 item has no response.",
    ):  # fmt: skip
        assert word in html, word


def test_filters_are_the_url(client: Client, run: Run) -> None:
    trials = Trial.objects.filter(run=run)
    right = list(trials.filter(passed=True).values_list("seq", flat=True))
    wrong = list(trials.filter(passed=False).values_list("seq", flat=True))
    assert right and wrong
    assert shown(client, run, "?verdict=correct") == right
    assert shown(client, run, "?verdict=incorrect") == wrong
    assert shown(client, run, "?verdict=errored") == [30]
    assert shown(client, run, "?verdict=waiting") == shown(client, run, "?verdict=unscored") == []
    assert shown(client, run, "?section=even") == list(range(2, 30, 2))
    assert shown(client, run, "?q=17+%2B+17") == [17]
    assert shown(client, run, "?q=n7") == [7]
    assert shown(client, run, "?section=even&verdict=correct") == [seq for seq in right if seq % 2 == 0]
    assert shown(client, run, "?verdict=nonsense&after=x") == list(range(1, 26))


def test_counts_stand_beside_the_filters(client: Client, run: Run) -> None:
    right = Trial.objects.filter(run=run, passed=True).count()
    for query, words in (
        ("", "30 items"),
        ("?verdict=correct", f"{right} of 30"),
        ("?verdict=errored", "1 of 30"),
        ("?section=even", "14 of 30"),
        ("?q=What", "Matches"),
    ):
        html = client.get(url_of(run, query)).content.decode()
        assert f'id="items-count">{words}<' in html, query


def test_pages_go_on_and_back(client: Client, run: Run) -> None:
    first = client.get(url_of(run)).context["trials"]
    second = client.get(url_of(run, f"?after={first.older}")).context["trials"]
    assert [trial.seq for trial in second.rows] == list(range(26, 31)) and not second.older
    back = client.get(url_of(run, f"?before={second.newer}")).context["trials"]
    assert [trial.seq for trial in back.rows] == list(range(1, 26))


def test_the_drawer_shows_one_item_whole(client: Client, run: Run) -> None:
    html = client.get(url_of(run, "?item=3")).content.decode()
    trial = Trial.objects.get(run=run, seq=3)
    for word in (
        'id="drawer"',
        "Please: What is 3 + 3?",
        "As sent",
        "n3",
        trial.response[:40],
        "200 OK",
        "Attempts",
    ):
        assert word in html, word
    assert 'aria-current="true"' in html and "?item=2" in html and "?item=4" in html


def test_the_drawer_walks_within_the_filter(client: Client, run: Run) -> None:
    context = client.get(url_of(run, "?item=4&section=even")).context
    assert (context["previous"], context["following"]) == (2, 6)
    assert client.get(url_of(run, "?item=2&section=even")).context["previous"] is None


def test_an_errored_item_shows_reason_raw_error_and_retry_to_editors(
    client: Client, run: Run, client_of: Callable[[User], Client], editor: User
) -> None:
    for_viewer = client.get(url_of(run, "?item=30")).content.decode()
    for_editor = client_of(editor).get(url_of(run, "?item=30")).content.decode()
    assert "400 Bad request" in for_viewer and "Raw error of attempt 1" in for_viewer
    assert "Retry item" in for_editor and "Retry item" not in for_viewer
    assert "&lt;b&gt;Bold" in for_viewer and "<b>Bold" not in for_viewer
    assert "<li data-reference><b>B</b><span>1</span>" in for_viewer


def test_an_unknown_item_opens_nothing(client: Client, run: Run) -> None:
    for query in ("?item=999", "?item=x", "?item=-1", "?item=99999999999999999999"):
        assert client.get(url_of(run, query)).context["trial"] is None


def test_htmx_gets_the_part_it_asks_for(client: Client, run: Run) -> None:
    for target, inside, outside in (
        ("drawer", b'id="drawer"', b'id="items"'),
        ("item-rows", b'id="item-rows"', b"run-header"),
    ):
        headers = {"HX-Request": "true", "HX-Target": target}
        html = client.get(url_of(run, "?item=3"), headers=headers).content
        assert inside in html and outside not in html and b"<html" not in html
    restored = client.get(
        url_of(run),
        headers={"HX-Request": "true", "HX-Target": "drawer", "HX-History-Restore-Request": "true"},
    )
    assert b"<html" in restored.content


def test_the_log_is_plain_text(client: Client, run: Run) -> None:
    answer = client.get(url_of(run, "log/"))
    text = b"".join(answer.streaming_content).decode()
    assert answer["Content-Type"].startswith("text/plain")
    assert text.count("\n") == run.log_lines.count() and "launched by" in text.splitlines()[0]


def test_viewers_see_no_buttons(client: Client, run: Run) -> None:
    html = client.get(url_of(run, "?item=30")).content.decode()
    for word in ("Retry", "Cancel</button>", "Cancel run", "Run again", "Delete", "data-action"):
        assert word not in html, word


def test_outsiders_and_other_workspaces_find_nothing(
    run: Run, client_of: Callable[[User], Client], outsider: User
) -> None:
    stranger = client_of(outsider)
    for path in ("", "log/", "?item=1", "export/jsonl/"):
        assert stranger.get(url_of(run, path)).status_code == 404
        assert stranger.get(f"/w/beta/runs/{run.pk}/{path}").status_code == 404
    assert Client().get(url_of(run)).status_code == 302


def test_the_number_of_queries_is_constant(client: Client, launched: Launched, run: Run) -> None:
    def queries(of: Run, query: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url_of(of, query)).status_code == 200
        return len(captured)

    small = launched(3)
    run_to_end(small.pk)
    queries(run, "")
    for query in ("", "?item=1", "?verdict=correct&section=odd"):
        assert abs(queries(run, query) - queries(small, query)) <= 1, query
        assert queries(run, query) <= 26


def test_a_page_of_rows_costs_no_query_each(client: Client, run: Run) -> None:
    with CaptureQueriesContext(connection) as captured:
        client.get(url_of(run), headers={"HX-Request": "true", "HX-Target": "item-rows"})
    assert len(captured) <= 12


def test_recorded_runs_say_that_nothing_was_sent(launched: Launched, client: Client, dataset: Any) -> None:
    items = [{"prompt": "1 + 1?", "references": ["2"], "responses": {"old": "A: 2"}}]
    version = dataset(items, response_models=["old"])
    made = launched(version=version, responses="recorded", model_ids=[], recorded_names=["old"])
    run_to_end(made.pk)
    html = client.get(url_of(made, "?item=1")).content.decode()
    assert "Recorded, nothing was sent" in html and "A: 2" in html
