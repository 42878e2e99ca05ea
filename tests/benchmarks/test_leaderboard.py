"""Who ranks and on what: ties, restrictions, refusals, best and latest, and what it costs in queries."""

import io
import json
import zipfile
from collections.abc import Callable
from math import sqrt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analysis.kept import kept
from analysis.stats.intervals import wilson
from benchmarks.bundles.archive import BadBundle
from benchmarks.bundles.writing import bundle
from benchmarks.models import Benchmark, BenchmarkEvaluation, BenchmarkPart
from benchmarks.selectors import parts_of
from benchmarks.selectors_leaderboard import View, leaderboard
from benchmarks.services import CannotEvaluate, benchmark_create, benchmark_delete, benchmark_update
from benchmarks.services.importing import bundle_import
from benchmarks.wish import BenchmarkProblems, BenchmarkWish, PartWish
from datasets.filters import ItemFilter
from datasets.models import DatasetVersion
from datasets.services_drafts import subset_create, subset_delete
from runs.models import Run
from tests.benchmarks.conftest import NUMERIC, answered
from tests.conftest import SHARED
from workspaces.access import Access
from workspaces.models import User

Recorded = Callable[..., DatasetVersion]
On = Callable[..., Benchmark]
Evaluated = Callable[..., BenchmarkEvaluation]


def shown(benchmark: Benchmark, **view: Any) -> list[tuple[str, str]]:
    return [(row.place, row.evaluation.alias) for row in leaderboard(benchmark, None, View(**view)).rows]


def test_places_ties_and_queries(recorded: Recorded, benchmark_on: On, evaluated: Evaluated) -> None:
    version = recorded({"good": [1] * 40, "near": [1] * 38 + [0] * 2, "poor": [0] * 30 + [1] * 10})
    benchmark = benchmark_on(version)
    for name in ("poor", "near", "good"):
        evaluated(benchmark, name)
    assert shown(benchmark) == [("1–2", "good"), ("1–2", "near"), ("3", "poor")]
    with CaptureQueriesContext(connection) as caught:
        board = leaderboard(benchmark, None)
    assert [row.tie for row in board.rows] == [False, True, False] and board.distinct == 2
    assert len(caught) == 6, "\n".join(query["sql"][:120] for query in caught)


def test_best_latest_and_every_run(recorded: Recorded, benchmark_on: On, evaluated: Evaluated) -> None:
    first = recorded({"a": [1, 1, 1, 0]})
    benchmark = benchmark_on(first)
    evaluated(benchmark, "a")
    again = evaluated(benchmark, "a")
    Run.objects.filter(evaluation=again.evaluation).update(sequence=99)
    run = again.evaluation.runs.get()
    run.trials.filter(seq=1).update(passed=False)
    run.tallies.filter(section="odd").update(passed=1, value_sum=1, value_sum_squares=1)
    assert [row.of for row in leaderboard(benchmark, None).rows] == [2]
    best, latest = (leaderboard(benchmark, None, View(show=show)).rows[0] for show in ("best", "latest"))
    assert (best.overall.value, latest.overall.value) == (0.75, 0.5)
    assert len(leaderboard(benchmark, None, View(show="every")).rows) == 2
    kept.forget()
    with CaptureQueriesContext(connection) as caught:
        leaderboard(benchmark, None)
    assert sum("runs_trial" in query["sql"] for query in caught) == 1, "only the best is read item by item"


def test_partial_and_failed_never_rank(recorded: Recorded, benchmark_on: On, evaluated: Evaluated) -> None:
    benchmark = benchmark_on(recorded({"a": [1, 1], "b": [1, 0], "c": [1, 0]}))
    rows = [evaluated(benchmark, name) for name in "abc"]
    Run.objects.filter(evaluation=rows[0].evaluation).update(done=1, errored=1)
    Run.objects.filter(evaluation=rows[1].evaluation).update(status="failed")
    board = leaderboard(benchmark, None)
    assert [row.evaluation.alias for row in board.rows] == ["c"]
    assert {each.reason for each in board.unranked} == {"1 of 2 items have no answer", "failed"}


def test_another_version_is_restricted_to_common_items(
    held: Access, recorded: Recorded, dataset: Any, benchmark_on: On, evaluated: Evaluated
) -> None:
    old = recorded({"a": [1, 1, 0, 0], "b": [0, 1, 1, 1]})
    benchmark = benchmark_on(old)
    evaluated(benchmark, "a")
    rows = answered({"a": [1, 1, 0, 0], "b": [0, 1, 1, 1]})[1:]
    new = dataset(rows, dataset=old.dataset, response_models=["a", "b"])
    benchmark_update(
        held, benchmark, BenchmarkWish(name="Sums", parts=[PartWish(version_id=new.pk, scorers=[NUMERIC])])
    )
    evaluated(benchmark, "b")
    board = leaderboard(benchmark, None)
    by_name = {row.evaluation.alias: row for row in board.rows}
    assert by_name["a"].n == 3 and "now v2: common items only" in by_name["a"].marks[1]
    assert by_name["b"].n == 3 and by_name["b"].marks == ["recorded responses"]
    assert by_name["a"].overall.value == pytest.approx(1 / 3)


def test_other_scoring_is_refused(recorded: Recorded, benchmark_on: On, evaluated: Evaluated) -> None:
    benchmark = benchmark_on(recorded({"a": [1, 0]}))
    evaluated(benchmark, "a")
    BenchmarkPart.objects.update(scorers=[NUMERIC | {"options": {"absolute_tolerance": 0.1}}])
    board = leaderboard(benchmark, None)
    assert not board.rows and "had other options" in board.unranked[0].reason


def test_several_parts_and_a_section(
    recorded: Recorded, benchmark_on: On, evaluated: Evaluated, client_of: Any, editor: User
) -> None:
    benchmark = benchmark_on(recorded({"a": [1, 1, 0, 0]}), recorded({"a": [1, 1]}, "other"), weights=(3, 1))
    evaluated(benchmark, "a")
    (row,) = leaderboard(benchmark, None).rows
    assert row.overall.value == pytest.approx(0.75 * 0.5 + 0.25) and row.n == 6
    base, client = f"/w/alpha/benchmarks/{benchmark.pk}/", client_of(editor)
    assert "weight 75.0" in client.get(f"{base}leaderboard/").content.decode()
    half = wilson(2, 4).half_width, wilson(1, 2).half_width
    told = 100 * sqrt((0.75 * (half[0] or 0)) ** 2 + (0.25 * (half[1] or 0)) ** 2)
    assert f"95% CI of ±{told:.1f} pts or narrower" in client.get(f"{base}evaluate/").content.decode()
    single = benchmark_on(recorded({"a": [1, 0, 1, 0]}), name="One")
    evaluated(single, "a")
    assert leaderboard(single, None, View(section="odd")).rows[0].overall.value == 1.0
    board = leaderboard(single, None, View(section="nowhere"))
    assert not board.rows and "no item in common" in board.unranked[0].reason


def test_a_part_may_be_a_saved_subset(
    held: Access, recorded: Recorded, benchmark_on: On, evaluated: Evaluated, client_of: Any, editor: User
) -> None:
    """It is what is asked and counted; evaluations of all items are restricted to it and marked."""
    version = recorded({"a": [1, 1, 0, 0], "b": [1, 0, 1, 0]})
    benchmark = benchmark_on(version)
    evaluated(benchmark, "a")
    subset = subset_create(held, version.dataset, name="Odd ones", wanted=ItemFilter(section="odd"))
    part = PartWish(version_id=version.pk, scorers=[NUMERIC], subset_id=subset.pk)
    benchmark_update(held, benchmark, BenchmarkWish(name="Sums", parts=[part]))
    evaluated(benchmark, "b")
    first, second = leaderboard(benchmark, None).rows
    assert (first.evaluation.alias, first.n, first.overall.value) == ("b", 2, 1.0)
    assert (second.evaluation.alias, second.n, second.overall.value) == ("a", 2, 0.5)
    assert "other slice, common items only" in second.marks[1] and len(first.marks) == 1
    page = client_of(editor).get(f"/w/alpha/benchmarks/{benchmark.pk}/").content.decode()
    assert "Subset Odd ones" in page and "<dt>Items</dt><dd>2</dd>" in page
    form = client_of(editor).get(f"/w/alpha/benchmarks/{benchmark.pk}/edit/").content.decode()
    assert f'<option value="{subset.pk}" selected>' in form
    with pytest.raises(BenchmarkProblems, match="Choose a subset of"):
        elsewhere = PartWish(version_id=recorded({"a": [1]}, "x").pk, scorers=[NUMERIC], subset_id=subset.pk)
        benchmark_update(held, benchmark, BenchmarkWish(name="Sums", parts=[elsewhere]))
    subset_delete(held, subset)
    assert leaderboard(benchmark, None).rows[0].n == 2
    with pytest.raises(CannotEvaluate, match="Choose a subset of"):
        evaluated(benchmark, "b")


def with_seed(data: bytes, seed: str) -> io.BytesIO:
    """The bundle with another seed of its subset."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            assert name != "benchmark.yaml" or b"seed: 7" in text
            new.writestr(name, text.replace(b"seed: 7", f"seed: {seed}".encode()))
    return made


def test_a_bundle_takes_its_subset_along(held: Access, recorded: Recorded) -> None:
    version = recorded({"a": [1, 1, 0, 0]})
    subset = subset_create(held, version.dataset, name="Two", wanted=ItemFilter(), size=2, seed=7)
    part = PartWish(version_id=version.pk, scorers=[NUMERIC], subset_id=subset.pk)
    benchmark = benchmark_create(held, BenchmarkWish(name="Of two", parts=[part]))
    data = b"".join(bundle(benchmark, list(parts_of(benchmark))))
    with pytest.raises(BenchmarkProblems):
        bundle_import(held, with_seed(data, "8"), name="Of two")
    with pytest.raises(BadBundle, match="no whole number"):
        bundle_import(held, with_seed(data, ".inf"))
    assert version.dataset.subsets.count() == 1
    benchmark_delete(held, benchmark)
    subset_delete(held, subset)
    made = bundle_import(held, io.BytesIO(data)).benchmark.parts.get()
    assert (made.subset["name"], made.subset["size"], made.subset["seed"]) == ("Two", 2, 7)


@pytest.mark.shared
def test_the_published_systems(
    dataset: Any, benchmark_on: On, evaluated: Evaluated, client_of: Any, viewer: User
) -> None:
    """Four systems on GSM8K: accuracies, intervals and places of the static page."""
    folder = SHARED / "data" / "gsm8k"
    lines = (folder / "example_model_solutions.jsonl").read_text().splitlines()
    systems = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    rows = []
    for at, line in enumerate(lines, 1):
        row = json.loads(line)
        rows.append(
            {
                "external_id": str(at), "section": "", "prompt": row["question"], "references": ["1"],
                "responses": {name: str(int(row[name]["is_correct"])) for name in systems},
            }
        )  # fmt: skip
    benchmark = benchmark_on(dataset(rows, response_models=list(systems)), name="GSM8K")
    for name in systems:
        evaluated(benchmark, name)
    found = []
    for row in leaderboard(benchmark, None).rows:
        bounds = (row.overall.value, row.overall.low, row.overall.high)
        points = [round(100 * (value or 0), 1) for value in bounds]
        found.append((row.place, row.evaluation.alias, *points, row.n))
    assert found == [
        ("1", "175b_verification", 56.3, 53.6, 58.9, 1319),
        ("2", "6b_verification", 39.0, 36.4, 41.7, 1319),
        ("3", "175b_finetuning", 34.7, 32.2, 37.3, 1319),
        ("4", "6b_finetuning", 21.7, 19.5, 24.0, 1319),
    ]
    html = client_of(viewer).get(f"/w/alpha/benchmarks/{benchmark.pk}/leaderboard/").content.decode()
    for value, interval in (("56.3", "[53.6, 58.9]"), ("39.0", "[36.4, 41.7]"), ("34.7", "[32.2, 37.3]")):
        assert f"<strong>{value}</strong>" in html and interval in html
    assert "4 systems, 4 distinct places" in html and "Holm-adjusted over 6 pairs" in html
