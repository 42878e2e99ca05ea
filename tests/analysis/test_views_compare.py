"""The comparison's page: what it says, what its URL keeps, how many queries it costs, who may see it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analysis.models import SavedComparison
from datasets.models import Asset, DatasetVersion, Item, ItemAsset
from runs.models import Run, Score, Tally, Trial
from tests.analysis.conftest import Made
from workspaces.models import User, Workspace

Versions = Callable[..., DatasetVersion]
ClientOf = Callable[[User], Client]
COMPARE = "/w/alpha/compare/"
HTMX = {"hx-request": "true", "hx-target": "pair-items"}


def path_of(runs: list[Run], **more: Any) -> str:
    extra = "".join(f"&{name}={value}" for name, value in more.items())
    return f"{COMPARE}?runs={','.join(str(run.pk) for run in runs)}{extra}"


def text_of(client: Client, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.content[:500]
    return " ".join(answer.content.decode().split())


def test_the_answer_comes_first(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    page = text_of(client_of(viewer), path_of(three[:2]))
    assert "B − A = +25.0 pts" in page and "12 fixed, 2 broken" in page
    assert "m1 answers more items correctly than m0." in page
    assert "Compare 2 runs" in page and "the same 40 items" in page


def test_what_is_left_out_is_said(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    page = text_of(client_of(viewer), path_of(three))
    assert "39 of 40 items that all runs have scored" in page
    assert "1 of 40 shared items left out</summary>" in page and "1 errored" in page
    assert "1 scored, but not by every run" in page


def test_runs_of_two_versions_share_the_unchanged_items_and_say_so(
    dataset: Versions, scored_run: Made, viewer: User, client_of: ClientOf
) -> None:
    rows = [{"external_id": f"q{n}", "prompt": f"{n}?", "references": [str(n)]} for n in range(1, 5)]
    old = dataset(rows)
    changed = rows[0] | {"references": ["one"]}
    new = dataset([changed, *rows[1:3], {"external_id": "q9", "prompt": "9?"}], dataset=old.dataset)
    page = text_of(client_of(viewer), path_of([scored_run(old, [1, 0, 1, 1]), scored_run(new, [0, 1, 1, 1])]))
    assert "v1 and v2, of which only unchanged items are compared: the same 2 items" in page
    assert page.count("2 not in every run&#x27;s dataset") == 2
    alone = text_of(client_of(viewer), path_of([scored_run(old, [1] * 4), scored_run(old, [0] * 4)]))
    assert "of which only" not in alone


def test_no_difference_is_never_called_better(
    dataset: Versions, scored_run: Made, viewer: User, client_of: ClientOf
) -> None:
    version = dataset(10)
    runs = [scored_run(version, [1, 0] * 5), scored_run(version, [0, 1] * 3 + [1, 0] * 2)]
    page = text_of(client_of(viewer), path_of(runs))
    assert "No difference is shown between m1 and m0" in page
    for word in ("better", "worse", "answers more", "answers fewer"):
        assert word not in page


def test_baseline_pair_and_groups_are_in_the_url(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    client = client_of(viewer)
    page = text_of(client, path_of(three, baseline=three[1].pk, against=three[0].pk))
    assert "A − B = −28.2 pts" in page and "Differences are against B" in page
    Run.objects.filter(pk__in=[three[0].pk, three[2].pk]).update(alias="old")
    page = text_of(client, path_of(three, group="alias"))
    assert "Mean of the runs in a group" in page and ">old</th>" in page


def test_items_by_any_combination(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    client = client_of(viewer)
    broken = text_of(client, path_of(three, a="right", b="wrong"), **HTMX)
    assert "1 of 39" in broken and "What is 2 + 2?" in broken and "What is 3 + 3?" not in broken
    both = text_of(client, path_of(three, a="right", b="wrong", c="wrong"), **HTMX)
    assert "No item matches" in both and "Remove filters" in both
    odd = text_of(client, path_of(three, b="right", section="odd"), **HTMX)
    assert "15 of 39" in odd
    assert "20 of 39" not in text_of(client, path_of(three, differ="answer"), **HTMX)


def test_pages_go_on_by_key(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    client, found = client_of(viewer), three[:2]
    items = list(Item.objects.order_by("pk").values_list("pk", flat=True))
    first = text_of(client, path_of(found), **HTMX)
    assert "1–10 of 40" in first and f"after={items[9]}" in first
    second = text_of(client, path_of(found, after=items[9]), **HTMX)
    assert "11–20 of 40" in second and f"before={items[10]}" in second


def test_an_open_item_shows_a_word_diff_and_its_neighbours(
    three: list[Run], viewer: User, client_of: ClientOf
) -> None:
    items = list(Item.objects.order_by("pk").values_list("pk", flat=True))
    Trial.objects.filter(run=three[0], item=items[1]).update(response="It is <b>four</b> now")
    page = text_of(client_of(viewer), path_of(three[:2], item=items[1], a="right", b="wrong"), **HTMX)
    assert "It is <del>&lt;b&gt;four&lt;/b&gt; now</del>" in page and "It is <ins>0</ins>" in page
    assert f"item={items[0]}" in page and 'data-step="previous"' in page
    assert 'data-step="next"' not in page
    assert "Triage" in page and 'name="state"' not in page  # a viewer reads


def test_values_are_compared_as_means(
    dataset: Versions, scored_run: Made, viewer: User, client_of: ClientOf
) -> None:
    version = dataset(6)
    runs = [scored_run(version, [value / 8 for value in range(at, at + 6)], judged=False) for at in (0, 2)]
    runs[1] = scored_run(version, [0.3, 0.35, 0.6, 0.5, 0.8, 0.7], judged=False)
    page = text_of(client_of(viewer), path_of(runs))
    assert "higher" in page and "6 pairs" in page and "Student’s" in page and "Broken" not in page


def test_another_scorer_has_its_own_figures(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    """By a judge that decides otherwise on one item: its row, its verdict, and the filter for it."""
    for run in three[:2]:
        trials = list(Trial.objects.filter(run=run).order_by("seq"))
        Score.objects.bulk_create(
            Score(run=run, trial=trial, scorer="strict", value=float(bool(trial.passed and trial.seq != 3)),
                  passed=bool(trial.passed and trial.seq != 3))
            for trial in trials
        )  # fmt: skip
        passed = sum(bool(trial.passed and trial.seq != 3) for trial in trials)
        Tally.objects.create(
            run=run, scorer="strict", scored=40, passed=passed, value_sum=passed, value_sum_squares=passed
        )
    client = client_of(viewer)
    assert "By other scorers and judges" in text_of(client, path_of(three[:2]))
    assert "strict" in text_of(client, path_of(three[:2], scorer="strict"))
    disputed = text_of(client, path_of(three[:2], differ="judge:strict"), **HTMX)
    assert "1 of 40" in disputed and "What is 3 + 3?" in disputed


def test_several_epochs_count_as_shares(
    dataset: Versions, scored_run: Made, viewer: User, client_of: ClientOf
) -> None:
    version = dataset(4)
    runs = [
        scored_run(version, [1, 0, 1, 1, 0, 0, 1, 0], epochs=2),
        scored_run(version, [1, 1, 1, 1, 0, 1, 1, 1], epochs=2),
    ]
    page = text_of(client_of(viewer), path_of(runs))
    assert "4 pairs" in page and "Accuracy" in page


def test_running_runs_are_marked_and_read_again(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    Run.objects.filter(pk=three[1].pk).update(status="running", sequence=7)
    client = client_of(viewer)
    page = text_of(client, path_of(three[:2]))
    assert "so far" in page and "Show newest" in page
    again = text_of(client, path_of(three[:2]).replace(COMPARE, f"{COMPARE}fragments/"))
    for part in ("finding", "summary", "forest", "latency", "sections", "cost", "left-out", "compare-scope"):
        assert f'id="{part}"' in again
    assert "pair-items" not in again.replace("#pair-items", "") and again.count('hx-swap-oob="true"') >= 8


def test_a_page_costs_the_same_whatever_its_runs_hold(
    three: list[Run], viewer: User, client_of: ClientOf
) -> None:
    client = client_of(viewer)
    text_of(client, path_of(three))
    with CaptureQueriesContext(connection) as warm:
        text_of(client, path_of(three))
    assert len(warm) <= 16, [query["sql"][:90] for query in warm]
    with CaptureQueriesContext(connection) as part:
        text_of(client, path_of(three, a="right"), **HTMX)
    assert len(part) <= 12, [query["sql"][:90] for query in part]


@pytest.mark.parametrize("more", ["&a=right&b=nonsense&section=x&differ=judge:&item=99999999999999999999",
                                  "&baseline=-1&against=0&scorer=%00&after=abc&before=1e9&group=%3Cxss%3E",
                                  "&item=1&after=999999999&values=mean"])  # fmt: skip
def test_nonsense_in_the_url_breaks_nothing(
    more: str, three: list[Run], viewer: User, client_of: ClientOf
) -> None:
    answer = client_of(viewer).get(path_of(three) + more)
    assert answer.status_code in (200, 422)
    assert b"<xss>" not in answer.content


def test_runs_are_chosen(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    client = client_of(viewer)
    assert "Choose 2 to 8 runs" in text_of(client, COMPARE)
    one = text_of(client, f"{COMPARE}?choose=1&runs={three[0].pk}")
    assert f'value="{three[0].pk}" id="choose-{three[0].pk}"' in one and "checked" in one
    both = client.get(f"{COMPARE}?runs={three[0].pk}&runs={three[1].pk}")
    assert both.status_code == 302 and both["Location"] == path_of(three[:2])
    assert "No run matches" in text_of(client, f"{COMPARE}?q=nothing-like-this")
    assert f"#{three[2].pk}" in text_of(client, f"{COMPARE}?q=%23{three[2].pk}")


def test_runs_that_cannot_be_compared_say_why(
    three: list[Run], dataset: Versions, scored_run: Made, viewer: User, client_of: ClientOf
) -> None:
    other = scored_run(three[0].dataset_version, [1] * 40, scorer="other")
    answer = client_of(viewer).get(path_of([three[0], other]))
    assert answer.status_code == 422 and "was not scored by numeric" in answer.content.decode()
    many = client_of(viewer).get(f"{COMPARE}?runs=1,2,3,4,5,6,7,8,9")
    assert many.status_code == 422 and "Choose 2 to 8 runs; these are 9." in many.content.decode()


def test_a_run_of_another_workspace_does_not_exist(
    three: list[Run], beta: Workspace, outsider: User, viewer: User, scored_run: Made, client_of: ClientOf
) -> None:
    foreign = scored_run(three[0].dataset_version, [1] * 40, workspace=beta)
    assert client_of(viewer).get(path_of([three[0], foreign])).status_code == 404
    assert client_of(outsider).get(path_of(three).replace("alpha", "beta")).status_code == 404


def test_past_of_an_alias(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    """Did it change between its first and last run?"""
    for days, run in enumerate(three[:2]):
        Run.objects.filter(pk=run.pk).update(
            alias="same", finished_at=timezone.now() - timezone.timedelta(days=3 - days)
        )
    page = text_of(client_of(viewer), path_of(three[:2]))
    assert "Over time" in page and "Compare the first with the last" in page
    assert f"#{three[1].pk} − #{three[0].pk} = +25.0 pts" in page


def test_comparisons_are_saved_for_everyone(
    three: list[Run], editor: User, viewer: User, client_of: ClientOf
) -> None:
    query = path_of(three[:2], a="right", item=5).removeprefix(COMPARE)
    client = client_of(editor)
    saved = client.post(f"{COMPARE}save/{query}", {"name": "Small against large"})
    assert saved.status_code == 302
    row = SavedComparison.objects.get()
    assert row.query == f"?runs={three[0].pk},{three[1].pk}&a=right" and row.created_by == editor
    again = client.post(f"{COMPARE}save/{query}", {"name": "Small against large"})
    assert again.status_code == 422 and "already a comparison named" in again.content.decode()
    other = client_of(viewer)
    assert "Small against large" in text_of(other, COMPARE)
    assert other.get(f"{COMPARE}saved/{row.pk}/")["Location"] == COMPARE + row.query
    assert other.post(f"{COMPARE}saved/{row.pk}/delete/").status_code == 403
    assert client.post(f"{COMPARE}saved/{row.pk}/delete/").status_code == 302
    assert not SavedComparison.objects.exists()


def test_recorded_responses_have_no_latency(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    Trial.objects.update(latency_ms=None)
    assert "nothing was called" in text_of(client_of(viewer), path_of(three))


def test_images_of_an_item_are_shown(
    alpha: Workspace, three: list[Run], viewer: User, client_of: ClientOf
) -> None:
    item = Trial.objects.get(run=three[0], seq=3).item
    asset = Asset.objects.create(
        workspace=alpha, sha256="a" * 64, media_type="image/png", size_bytes=1, width_px=3, height_px=2
    )
    ItemAsset.objects.create(item=item, asset=asset, position=1, label="A cat")
    page = text_of(client_of(viewer), path_of(three, item=item.pk), **HTMX)
    assert f'src="/w/alpha/datasets/assets/{"a" * 64}/"' in page and 'alt="A cat"' in page
