"""Comparisons of runs: which items meet, what is left out, who may see it, and the published figures."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analysis.comparison import Comparison, NotComparable, RunsMissing, compare
from analysis.outcomes import Packed
from analysis.wording import change, worded
from datasets.models import Asset, DatasetVersion, Item, ItemAsset
from runs.models import Run, Trial
from tests.analysis.conftest import ERRORED, UNSCORED, WAITING, Made
from tests.conftest import SHARED
from workspaces.models import Workspace

Dataset = Callable[..., DatasetVersion]


def words(comparison: Comparison, first: int = 0, second: int = 1) -> str:
    pair = comparison.pair(first, second)
    return worded(pair.difference, pair.p, "A", "B").figures


def test_pairs_on_common_items(alpha: Workspace, dataset: Dataset, scored_run: Made) -> None:
    version = dataset(8)
    first = scored_run(version, [1, 1, 0, 0, 0, ERRORED, UNSCORED, 1])
    second = scored_run(version, [1, 0, 1, 1, 0, 1, 1, WAITING], status="running")
    found = compare(alpha, [first.pk, second.pk])
    assert (found.n, found.binary, found.so_far, found.scorer) == (5, True, True, "numeric")
    difference = found.difference(0, 1)
    assert (difference.fixed, difference.broken, difference.interval.value) == (2, 1, 0.2)
    assert (found.left_out[0].errored, found.left_out[0].unscored, found.left_out[0].by_others) == (1, 1, 1)
    assert (found.left_out[1].waiting, found.left_out[1].by_others, found.left_out[1].total) == (1, 2, 3)
    assert found.figure(0).value == 0.4 and found.figure(1).value == 0.6


def test_outsiders_run_is_not_found(
    alpha: Workspace, beta: Workspace, dataset: Dataset, scored_run: Made
) -> None:
    mine = scored_run(dataset(2), [1, 0])
    theirs = scored_run(dataset(2, workspace=beta), [1, 0], workspace=beta)
    with pytest.raises(RunsMissing, match=f"No run {theirs.pk} in this workspace"):
        compare(alpha, [mine.pk, theirs.pk])
    with pytest.raises(RunsMissing):
        compare(beta, [mine.pk, theirs.pk])
    with pytest.raises(RunsMissing):
        compare(alpha, [mine.pk, 10**9])


def test_what_cannot_be_compared(alpha: Workspace, dataset: Dataset, scored_run: Made) -> None:
    version = dataset(2)
    first = scored_run(version, [1, 0])
    other = scored_run(version, [1, 0], scorer="judge")
    with pytest.raises(NotComparable, match="2 to 8 runs; these are 1"):
        compare(alpha, [first.pk, first.pk])
    with pytest.raises(NotComparable, match="these are 9"):
        compare(alpha, list(range(1, 10)))
    with pytest.raises(NotComparable, match=f"Run {other.pk} was not scored by numeric; its scorers: judge"):
        compare(alpha, [first.pk, other.pk])


def test_few_queries_and_none_again(alpha: Workspace, dataset: Dataset, scored_run: Made) -> None:
    """Runs, tallies, one a run, one for the sections; then only runs and tallies, until a run changes."""
    version = dataset(4)
    ids = [scored_run(version, [1, 0, 1, 0]).pk for _ in range(4)]

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            found = compare(alpha, ids)
            assert found.pairs and found.sections() is not None
        return len(caught)

    assert (queries(), queries()) == (7, 2)
    Trial.objects.filter(run=ids[1], seq=1).update(passed=False)
    Run.objects.filter(pk=ids[1]).update(sequence=7)
    assert queries() == 3
    assert compare(alpha, ids).figure(1).value == 0.25


def test_values_without_verdicts(alpha: Workspace, dataset: Dataset, scored_run: Made) -> None:
    """All zero looks like verdicts in the sums, but nothing passed or failed."""
    version = dataset(4)
    zero = scored_run(version, [0, 0, 0, 0], judged=False)
    some = scored_run(version, [0.25, 0.5, 1 / 3, UNSCORED], judged=False)
    found = compare(alpha, [zero.pk, some.pk])
    assert (found.verdicts, found.n, found.bounds(0, 1)) == (False, 3, None)
    assert found.figure(1).value == pytest.approx((0.25 + 0.5 + 1 / 3) / 3, abs=1e-12)
    assert found.difference(0, 1).test.method == "paired t"


def test_passes_unless_values_are_wanted(alpha: Workspace, dataset: Dataset, scored_run: Made) -> None:
    version = dataset(3)
    ids = [scored_run(version, [0.9, 0.2, 0.6]).pk, scored_run(version, [0.4, 0.3, 0.8]).pk]
    assert [compare(alpha, ids).figure(run).value for run in (0, 1)] == pytest.approx([2 / 3, 1 / 3])
    by_value = compare(alpha, ids, values=True)
    assert [by_value.figure(run).value for run in (0, 1)] == pytest.approx([1.7 / 3, 0.5])


def test_epochs_are_averaged_by_item(alpha: Workspace, dataset: Dataset, scored_run: Made) -> None:
    version = dataset(3)
    first = scored_run(version, [1, 0, 1, 1, 0, ERRORED], epochs=2)
    second = scored_run(version, [1, 1, 1, 1, 0, 1], epochs=2)
    found = compare(alpha, [first.pk, second.pk])
    assert found.scores.tolist() == [[0.5, 1.0], [1.0, 1.0], [0.0, 0.5]]
    assert (found.n, found.binary, found.difference(0, 1).test.method) == (3, False, "paired t")
    assert np.flatnonzero(found.picked([False, True])).tolist() == [0]


def test_versions_meet_by_content(alpha: Workspace, dataset: Dataset, scored_run: Made) -> None:
    """The same question elsewhere in the file counts; a changed reference or image makes another item."""
    row: dict[str, Any] = {"section": "", "references": ["1"], "messages": None, "choices": ["a", "b"]}
    old = dataset([row | {"prompt": prompt} for prompt in ("one", "two", "three", "same", "same", "picture")])
    new = dataset(
        [row | {"prompt": prompt} for prompt in ("same", "two", "one", "same")]
        + [row | {"prompt": "three", "references": ["2"]}, row | {"prompt": "picture"}]
    )
    asset = Asset.objects.create(
        workspace=alpha, sha256="a" * 64, media_type="image/png", size_bytes=1, width_px=1, height_px=1
    )
    ItemAsset.objects.create(item=Item.objects.get(version=new, prompt="picture"), asset=asset, position=1)
    found = compare(alpha, [scored_run(old, [1, 0, 1, 1, 0, 1]).pk, scored_run(new, [1, 1, 0, 0, 1, 1]).pk])
    assert [Item.objects.get(pk=int(item)).prompt for item in found.items[:, 1]] == [
        "one",
        "two",
        "same",
        "same",
    ]
    assert found.scores.tolist() == [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    assert (found.left_out[0].elsewhere, found.left_out[1].elsewhere) == (2, 2)


def test_sections_without_common_items_are_left_out(
    alpha: Workspace, dataset: Dataset, scored_run: Made
) -> None:
    rows = [{"prompt": name * n, "section": name} for name in "abc" for n in (1, 2, 3)]
    ids = [scored_run(dataset(rows), [1] * 9).pk, scored_run(dataset(rows[3:]), [1, 0, 0, 1, 1, 0]).pk]
    found = compare(alpha, ids).sections()
    assert [(row.name, row.n) for row in found] == [("b", 3), ("c", 3)]
    shown = [row.differences[1].interval.value for row in found if row.differences[1]]
    assert shown == pytest.approx([-2 / 3, -1 / 3])


def test_where_versions_meet_is_found_once(
    alpha: Workspace, dataset: Dataset, scored_run: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"prompt": text, "section": ""} for text in ("one", "two", "three")]
    ids = [scored_run(dataset(rows), [1, 0, 1]).pk, scored_run(dataset(rows[1:]), [0, 0]).pk]
    first = compare(alpha, ids)
    monkeypatch.setattr("analysis.comparison._met", lambda *anything, **more: pytest.fail("sorted again"))
    again = compare(alpha, ids)
    assert again.items.tolist() == first.items.tolist() and again.n == 2


def test_nothing_in_common(alpha: Workspace, dataset: Dataset, scored_run: Made) -> None:
    rows = [[{"prompt": text, "section": ""}] for text in ("one", "two")]
    found = compare(alpha, [scored_run(dataset(row), [1]).pk for row in rows])
    assert (found.n, found.sections(), words(found)) == (0, [], "B − A: no items in common")
    assert found.figure(0).reason == "no data" and found.page(found.picked([None, None])).total == 0


def test_item_classes_and_pages(alpha: Workspace, dataset: Dataset, scored_run: Made) -> None:
    version = dataset(7)
    first = scored_run(version, [1, 0, 0, 1, 0, 0, 0], answers=list("1234567"))
    second = scored_run(version, [0, 1, 0, 1, 0, 0, ERRORED], answers=list("x2x45y7"))
    found = compare(alpha, [first.pk, second.pk])
    assert np.flatnonzero(found.picked([False, True])).tolist() == [1]
    assert np.flatnonzero(found.picked([True, False])).tolist() == [0]
    wrong = found.picked([False, False])
    assert np.flatnonzero(wrong).tolist() == [2, 4, 5]
    assert np.flatnonzero(found.picked([False, False], answers_differ=(0, 1))).tolist() == [2, 5]
    assert np.flatnonzero(found.picked([None, None], section="even")).tolist() == [1, 3, 5]
    assert not found.picked([None, None], section="nowhere").any()
    start = found.page(wrong, size=2)
    assert (start.places.tolist(), start.total, start.newer) == ([2, 4], 3, None)
    rest = found.page(wrong, size=2, after=start.older)
    assert (rest.places.tolist(), rest.older) == ([5], None)
    back = found.page(wrong, size=2, before=rest.newer)
    assert (back.places.tolist(), back.newer, back.older) == ([2, 4], None, start.older)
    assert found.page(wrong, after=10**12).places.tolist() == []
    with pytest.raises(NotComparable, match="one wish per run"):
        found.picked([True])


def test_excluded_items_could_change_it(alpha: Workspace, dataset: Dataset, scored_run: Made) -> None:
    version = dataset(40)
    first = scored_run(version, [0] * 20 + [1] * 20)
    second = scored_run(version, [1] * 12 + [ERRORED] * 28)
    bounds = compare(alpha, [first.pk, second.pk]).bounds(0, 1)
    assert bounds is not None and bounds.excluded == 28 and bounds.could_change


def test_packs_keep_order_and_precision(dataset: Dataset, scored_run: Made) -> None:
    run = scored_run(dataset(3), [1 / 3, 0.1, 1e-9])
    packed = run.scores.aggregate(ids=Packed("trial_id"), values=Packed("value"))
    by_id = dict(zip(packed["ids"].split(","), map(float, packed["values"].split(",")), strict=True))
    for score in run.scores.all():
        assert by_id[str(score.trial_id)] == pytest.approx(score.value, rel=1e-14)


@pytest.mark.shared
def test_the_published_comparison(alpha: Workspace, dataset: Dataset, scored_run: Made) -> None:
    """Four systems on GSM8K: verdict line, pairs, sections as on the static page."""
    folder = SHARED / "data" / "gsm8k"
    questions = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    labels = [
        json.loads(line) for line in (folder / "example_model_solutions.jsonl").read_text().splitlines()
    ]
    steps = ["1–2 steps", "3 steps", "4 steps", "5 steps", "6+ steps"]
    version = dataset(
        [
            {"prompt": row["question"], "section": steps[min(max(row["answer"].count("<<"), 2), 6) - 2]}
            for row in questions
        ]
    )
    DatasetVersion.objects.filter(pk=version.pk).update(sections=[{"name": name} for name in steps])
    names = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    runs = [scored_run(version, [int(row[name]["is_correct"]) for row in labels]).pk for name in names]
    found = compare(alpha, runs)
    assert words(found) == "B − A = +17.4 pts [14.7, 20.0], p < 0.001, 1,319 pairs, 293 fixed, 64 broken"
    assert words(found, 2, 1).startswith("B − A = +4.3 pts [1.5, 7.1], p = 0.003")
    rows = found.sections()
    assert [(row.name, row.n) for row in rows] == list(zip(steps, (440, 364, 290, 138, 87), strict=True))
    first, last = ([change(each.interval, True) for each in rows[at].differences if each] for at in (0, 4))
    assert first == ["+20.5 pts [15.7, 25.2]", "+10.2 pts [5.2, 15.2]", "+33.4 pts [28.3, 38.5]"]
    assert last == ["+3.4 pts [−3.3, 10.2]", "+2.3 pts [−4.1, 8.7]", "+17.2 pts [7.6, 26.9]"]
    assert [each.shown for each in rows[4].differences if each] == [False, False, True]
    verification, finetuning = [1, 3], [0, 2]
    assert change(found.group_figure(verification), True) == "+47.6 pts [45.4, 49.9]"
    assert change(found.group_figure(finetuning), True) == "+28.2 pts [26.2, 30.2]"
    between = found.group_difference(finetuning, verification)
    assert change(between.interval, True) == "+19.4 pts [17.4, 21.5]"
