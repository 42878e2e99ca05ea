"""A benchmark whose primary metric is a judge's: launched with it, moved to 0–100, ranked once it is done."""

from collections.abc import Callable

import pytest

from benchmarks.models import BenchmarkPart
from benchmarks.selectors import evaluations_of, scored
from benchmarks.selectors_leaderboard import leaderboard
from benchmarks.services import EvaluationWish, benchmark_create, evaluate
from benchmarks.wish import BenchmarkProblems, BenchmarkWish, PartWish
from datasets.models import DatasetVersion
from judges.models import JudgeVersion
from judges.services import Draft, judge_create
from registry.models import RegisteredModel
from runs.engine.host import run_to_end
from tests.runs.scripted_judge import ScriptedJudge, verdict
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access


@pytest.fixture
def judge(held: Access, model: Callable[..., RegisteredModel]) -> JudgeVersion:
    """Scores from 1 to 5, without a threshold."""
    asked = [model(name="judge-a").pk]
    return judge_create(
        held,
        Draft(
            name="mark", kind="score", user_template="Mark {{ response }} to {{ input }}.",
            minimum=1, maximum=5, model_ids=asked,
        ),
    )  # fmt: skip


def test_a_judges_mean_on_its_scale(
    held: Access,
    engine: None,
    judge: JudgeVersion,
    dataset: Callable[..., DatasetVersion],
    model: Callable[..., RegisteredModel],
    stub: StubEndpoint,
) -> None:
    stub.set(script=ScriptedJudge(lambda number, time, body: verdict(score=number)))
    version = dataset(5)
    part = PartWish(version_id=version.pk, judge_ids=[judge.pk], primary="mark", measure="mean")
    with pytest.raises(BenchmarkProblems, match="without a threshold, so nothing passes"):
        wrong = PartWish(version_id=version.pk, judge_ids=[judge.pk], primary="mark")
        benchmark_create(held, BenchmarkWish(name="Marks", parts=[wrong]))
    benchmark = benchmark_create(held, BenchmarkWish(name="Marks", parts=[part]))
    row = evaluate(held, benchmark, EvaluationWish(model_id=model(alias="target").pk))
    run = row.evaluation.runs.get(judged=None)
    (pending,) = leaderboard(benchmark, None).unranked
    assert pending.reason == "still going on"
    run_to_end(run.pk)
    for judging in run.judgings.all():
        run_to_end(judging.pk)
    found = scored(evaluations_of(held.workspace).get(pk=row.pk))
    assert found.overall.value == pytest.approx(0.5) and found.parts[0].scale.high == 5
    (ranked,) = leaderboard(benchmark, None).rows
    assert ranked.overall.value == pytest.approx(0.5) and ranked.n == 5
    BenchmarkPart.objects.get().judges.clear()
    other = judge_create(held, Draft(name="other", kind="score", user_template="Mark {{ response }}.",
                                     minimum=1, maximum=5, model_ids=[model(name="judge-b").pk]))  # fmt: skip
    JudgeVersion.objects.filter(pk=other.pk).update(judge_id=judge.judge_id, number=2)
    BenchmarkPart.objects.get().judges.add(other)
    (refused,) = leaderboard(benchmark, None).unranked
    assert "judge mark v1 then, v2 now" in refused.reason
