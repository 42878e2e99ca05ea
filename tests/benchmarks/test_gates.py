"""Gates: pass, fail, inconclusive with figures and the items still needed; page, API, terminal, JUnit."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.utils import timezone

from analysis.models import TriagedItem
from analysis.services_labels import label_keep
from benchmarks.models import Benchmark, BenchmarkEvaluation, Gate
from benchmarks.rules import not_worse
from benchmarks.scoring import PartPair
from benchmarks.selectors_gates import Candidate, benchmark_report, dataset_report
from benchmarks.selectors_leaderboard import leaderboard
from benchmarks.services import baseline_set
from benchmarks.services.gates import BadGate, gate_create
from datasets.models import DatasetVersion
from judges.draft import Draft
from judges.models import ControlCheck
from judges.services import draft_of_rubric, judge_create, judge_revise
from runs.models import Run
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access, access_for
from workspaces.models import Role, User
from workspaces.services import token_create

Recorded = Callable[..., DatasetVersion]
On = Callable[..., Benchmark]
Evaluated = Callable[..., BenchmarkEvaluation]
BASE, NEW = [1] * 80 + [0] * 20, [1] * 78 + [0] * 22


@pytest.fixture
def pair(held: Access, recorded: Recorded, benchmark_on: On, evaluated: Evaluated) -> Benchmark:
    """A baseline at 80 %, a candidate at 78 %, 100 items."""
    benchmark = benchmark_on(recorded({"old": BASE, "new": NEW}))
    baseline_set(held, evaluated(benchmark, "old"), True)
    evaluated(benchmark, "new")
    return benchmark


def outcome(benchmark: Benchmark, **wanted: Any) -> tuple[str, int]:
    report = benchmark_report(benchmark, Candidate(**wanted))
    return str(report.outcome), report.exit_code


def test_not_worse_passes_fails_or_is_undecided(held: Access, pair: Benchmark) -> None:
    assert outcome(pair) == ("inconclusive", 101)  # no gate decides nothing
    gate = gate_create(held, pair, rule="not_worse", options={"margin": 10})
    assert outcome(pair) == ("pass", 0)
    (ruled,) = benchmark_report(pair).rulings
    assert ruled.ruling.figures.startswith("new − old = −2.0 pts [") and "100 pairs" in ruled.ruling.figures
    Gate.objects.filter(pk=gate.pk).update(options={"margin": 3})
    (ruled,) = benchmark_report(pair).rulings
    assert outcome(pair) == ("inconclusive", 101) and (ruled.ruling.needed or 0) > 100
    Gate.objects.filter(pk=gate.pk).update(options={"margin": 10})
    assert "weights" not in ruled.ruling.figures
    Run.objects.update(summary={"weights": {"numeric": {}}})
    (ruled,) = benchmark_report(pair).rulings
    assert ruled.ruling.figures.endswith("100 pairs; items count the same here, not by their weights")
    assert "items count the same here, not by their weights" in leaderboard(pair, None).rows[0].marks
    assert outcome(pair, model="nobody") == ("inconclusive", 101)
    BenchmarkEvaluation.objects.update(is_baseline=False)
    assert "No baseline" in benchmark_report(pair).rulings[0].ruling.figures


def test_a_clear_loss_fails_and_needed_items_would_decide() -> None:
    rng = np.random.default_rng(1)
    first = np.ones(400)
    lost = PartPair(first, (rng.random(400) > 0.2).astype(float), True, 1.0, np.arange(400))
    assert str(not_worse.tested([lost], 0.02).outcome) == "fail"
    even = PartPair(
        (rng.random(60) < 0.5).astype(float), (rng.random(60) < 0.5).astype(float), True, 1.0, np.arange(60)
    )
    found = not_worse.tested([even, even], 0.02)
    assert str(found.outcome) == "inconclusive"
    assert not_worse.more_needed([lost], not_worse.tested([lost], 0.02)) is None


def test_untriaged_items_fail(held: Access, pair: Benchmark, recorded: Recorded) -> None:
    gate_create(held, pair, rule="triaged", options={})
    (ruled,) = benchmark_report(pair).rulings
    assert (str(ruled.ruling.outcome), ruled.ruling.figures) == ("fail", "2 broken, 0 triaged, 2 to decide")
    run = pair.evaluations.get(alias="new").evaluation.runs.get()
    for trial in run.trials.filter(seq__in=(79, 80)):
        TriagedItem.objects.create(
            workspace=held.workspace, item_id=trial.item_id, run=run, state="real", changed_at=timezone.now()
        )
    assert outcome(pair) == ("pass", 0)


def test_judges_are_certified_by_controls_and_people(
    held: Access, recorded: Recorded, benchmark_on: On, evaluated: Evaluated, model: Any, stub: StubEndpoint
) -> None:
    """A judge that is right on 60 responses, and an editor who labels them; half are wrong answers."""
    stub.set(script=lambda body: json.dumps(
        {"feedback": "", "label": "Incorrect" if "0.5" in str(body["messages"]) else "Correct"}))  # fmt: skip
    benchmark = benchmark_on(recorded({"a": [1, 0] * 30}))
    gate_create(held, benchmark, rule="judge_certified", options={})
    assert "No judge scores here" in benchmark_report(benchmark).rulings[0].ruling.figures
    judge = judge_create(held, draft_of_rubric(held.workspace, "correctness", model_ids=[model().pk]))
    benchmark.parts.get().judges.add(judge)
    assert "no control check yet" in benchmark_report(benchmark).rulings[0].ruling.figures
    ControlCheck.objects.create(version=judge, n=12, false_passes=1, finished_at=timezone.now())
    assert outcome(benchmark) == ("fail", 100)
    ControlCheck.objects.create(version=judge, n=12, finished_at=timezone.now())
    assert outcome(benchmark) == ("inconclusive", 101)
    ruling = benchmark_report(benchmark).rulings[0].ruling
    assert "is uncalibrated on" in ruling.figures
    assert ruling.still_needed == "about 50 more labels would decide it"
    run = evaluated(benchmark, "a").evaluation.runs.get(judged=None)
    trials = list(run.trials.select_related("run").order_by("seq"))
    for trial in trials[:30]:
        label_keep(held, judge.judge, trial, "Correct" if trial.seq % 2 else "Incorrect")
    assert outcome(benchmark) == ("inconclusive", 101)
    report = benchmark_report(benchmark)
    assert "is provisional on Numbers 1: κ = 1.00 [0.77, 1.00], 30 labels" in report.rulings[0].ruling.figures
    assert report.as_json()["gates"][0]["labels_needed"] == 20
    for trial in trials[30:]:
        label_keep(held, judge.judge, trial, "Correct" if trial.seq % 2 else "Incorrect")
    assert outcome(benchmark) == ("pass", 0)
    changed = judge_revise(held, judge.judge, Draft.of(judge).changed(parameters={"temperature": 1}))
    benchmark.parts.get().judges.set([changed])
    ControlCheck.objects.create(version=changed, n=12, finished_at=timezone.now())
    assert outcome(benchmark) == ("inconclusive", 101), "other parameters are another judge"


def test_on_a_dataset(held: Access, pair: Benchmark) -> None:
    dataset = pair.parts.get().version.dataset
    with pytest.raises(BadGate, match="name the model"):
        gate_create(held, dataset, rule="not_worse", options={})
    with pytest.raises(BadGate, match="did you mean not_worse"):
        gate_create(held, dataset, rule="not_wors", options={})
    gate_create(held, dataset, rule="not_worse", options={"margin": "10", "baseline": "old"})
    report = dataset_report(dataset, Candidate(model="new"))
    assert str(report.outcome) == "pass" and "#" in report.rulings[0].candidate
    gone = dataset_report(dataset, Candidate(model="nobody"))
    assert "No completed run of the candidate" in gone.rulings[0].ruling.figures


def test_page_and_api(
    held: Access, pair: Benchmark, client_of: Callable[[User], Client], editor: User, viewer: User
) -> None:
    client, url = client_of(editor), f"/w/alpha/benchmarks/{pair.pk}/gates/"
    client.post(url, {"rule": "not_worse", "not_worse.margin": "10"})
    client.post(url, {"rule": "not_worse", "not_worse.margin": "-4"})
    html = client.get(url).content.decode()
    assert "Not worse than the baseline by more than 10 pts" in html and "lies between 0 and 100" in html
    assert client_of(viewer).post(url, {"rule": "triaged"}).status_code == 403
    _, secret = token_create(access_for(editor, "alpha"), name="ci", role=Role.VIEWER, expires_at=None)
    bearer = Client(headers={"authorization": f"Bearer {secret}"})
    told = bearer.get(f"/api/v1/benchmarks/{pair.pk}/gates").json()
    assert (told["outcome"], told["exit_code"]) == ("pass", 0)
    suite = ElementTree.fromstring(bearer.get(f"/api/v1/benchmarks/{pair.pk}/gates?as=junit").content)
    assert suite.attrib["tests"] == "1" and suite.attrib["failures"] == "0"


def test_forms_offer_the_names_that_may_be_meant(
    held: Access, pair: Benchmark, model: Any, client_of: Callable[[User], Client], editor: User
) -> None:
    judge_create(held, draft_of_rubric(held.workspace, "correctness", model_ids=[model().pk]))
    pair.parts.update(scorers=[{"key": "numeric"}])  # as the API takes them: the key is the name
    dataset = pair.parts.get().version.dataset
    for path in (f"{pair.pk}/gates/", f"gates/dataset/{dataset.pk}/"):
        html = client_of(editor).get(f"/w/alpha/benchmarks/{path}").content.decode()
        for name in ("old", "new", "numeric", "Correctness"):
            assert f'<option value="{name}"></option>' in html, name
        assert "exits 0, 100 on fail" in html


def test_the_command(held: Access, pair: Benchmark, tmp_path: Path) -> None:
    gate_create(held, pair, rule="triaged", options={})
    file, out = tmp_path / "gates.xml", StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("gate", "alpha", "sums", "--model", "new", "--junit", str(file), stdout=out)
    assert ended.value.code == 100 and "2 broken" in out.getvalue()
    (case,) = ElementTree.parse(file).getroot()
    assert case.find("failure") is not None
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("gate", "alpha", "sums", "--json", stdout=out)
    assert json.loads(out.getvalue())["gates"][0]["detail"] == {"broken": 2, "left": 2}
    with pytest.raises(CommandError, match="no benchmark"):
        call_command("gate", "alpha", "nothing")
