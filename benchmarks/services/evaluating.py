"""Evaluating models on benchmarks: one evaluation with one run for each part. And undoing it, for good."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from benchmarks.models import Benchmark, BenchmarkEvaluation, BenchmarkPart, EvaluationTask, Phase
from benchmarks.scales import Counted, scale_of
from benchmarks.selectors import parts_of
from benchmarks.selectors_evaluate import used
from benchmarks.selectors_leaderboard import wanted_slice
from registry.models import RegisteredModel
from registry.selectors import models_for
from registry.services import model_by_name_only
from runs.models import Evaluation
from runs.services import Launch, LaunchProblems, evaluation_delete, launch
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused

MOST_TOGETHER = 200


class CannotEvaluate(Refused):
    """Why the model cannot be evaluated here and now, in words for people."""


@dataclass(frozen=True, kw_only=True)
class EvaluationWish:
    """A registered model, or a name whose recorded responses every part holds; in a phase if there are."""

    model_id: int | None = None
    recorded_name: str = ""
    phase_id: int | None = None
    is_baseline: bool = False


def evaluate(
    access: Access, benchmark: Benchmark, wish: EvaluationWish, *, task: EvaluationTask | None = None
) -> BenchmarkEvaluation:
    """Launches a run for each part. Raises CannotEvaluate; then nothing is made."""
    if benchmark.archived_at:
        raise CannotEvaluate(f"{benchmark.name} is archived: it takes no evaluations.")
    with transaction.atomic():
        phase = _phase(benchmark, wish)
        model = _model(access, wish)
        _check_limit(access, phase, model)
        parts = list(parts_of(benchmark))
        if not parts:
            raise CannotEvaluate(f"{benchmark.name} has no parts yet: add a dataset to it.")
        evaluation, runs = _launch(access, benchmark, phase, parts, wish, model)
        return BenchmarkEvaluation.objects.create(
            benchmark=benchmark,
            phase=phase,
            task=task,
            model=model,
            alias=model.title[:120],
            evaluation=evaluation,
            frozen={
                "parts": [frozen_part(part, phase, run) for part, run in zip(parts, runs, strict=True)],
                "recorded": bool(wish.recorded_name),
            },
            is_baseline=wish.is_baseline,
            created_by=access.actor,
        )


def _phase(benchmark: Benchmark, wish: EvaluationWish) -> Phase | None:
    """The row is locked, so that two launches do not pass a limit together."""
    phases = Phase.objects.select_for_update().filter(benchmark=benchmark)
    if wish.phase_id is None:
        current = [phase for phase in phases if phase.state == "current"]
        if not current and phases:
            raise CannotEvaluate(f"No phase of {benchmark.name} is open now.")
        return current[-1] if current else None
    phase = phases.filter(pk=wish.phase_id).first()
    if phase is None:
        raise CannotEvaluate("This benchmark has no such phase.")
    if phase.state == "next":
        raise CannotEvaluate(f"Phase {phase.name} opens on {phase.starts_at:%-d %B %Y}.")
    if phase.state == "previous":
        raise CannotEvaluate(f"Phase {phase.name} closed on {phase.ends_at:%-d %B %Y}.")
    return phase


def _model(access: Access, wish: EvaluationWish) -> RegisteredModel:
    if wish.recorded_name:
        return model_by_name_only(access, wish.recorded_name)
    model = models_for(access.workspace).filter(pk=wish.model_id or 0).first()
    if model is None:
        raise CannotEvaluate("Choose an active model of this workspace.")
    return model


def _check_limit(access: Access, phase: Phase | None, model: RegisteredModel) -> None:
    if phase is None or phase.most_runs is None:
        return
    made = used(phase, model=model, person=access.actor)
    if made >= phase.most_runs:
        whose = "this model" if phase.most_per == Phase.Per.MODEL else "each person"
        times = "evaluation" if phase.most_runs == 1 else "evaluations"
        raise CannotEvaluate(
            f"Phase {phase.name} takes {phase.most_runs} {times} of {whose}; {made} are made already."
        )


def _launch(
    access: Access,
    benchmark: Benchmark,
    phase: Phase | None,
    parts: Sequence[BenchmarkPart],
    wish: EvaluationWish,
    model: RegisteredModel,
) -> tuple[Evaluation, list[int]]:
    """The evaluation and its runs, a part each, in order."""
    evaluation: Evaluation | None = None
    runs: list[int] = []
    for part in parts:
        try:
            evaluation = launch(access, launch_wish(benchmark, phase, part, wish, model), into=evaluation)
        except LaunchProblems as error:
            told = " ".join(text for texts in error.problems.values() for text in texts)
            raise CannotEvaluate(f"{part.version.dataset.name}: {told}") from error
        newest = evaluation.runs.filter(judged=None).order_by("-pk").values_list("pk", flat=True)
        runs.append(newest[0])
    assert evaluation is not None
    return evaluation, runs


def launch_wish(
    benchmark: Benchmark,
    phase: Phase | None,
    part: BenchmarkPart,
    wish: EvaluationWish,
    model: RegisteredModel,
) -> Launch:
    """What a part launches, its primary scorer first."""
    sections, limit = wanted_slice(part, phase)
    if phase and phase.sections and not sections:
        raise CannotEvaluate(
            f"{part.version.dataset.name} has none of the sections of phase {phase.name}. Change the phase."
        )
    first = [each for each in part.scorers if (each.get("name") or each["key"]) == part.primary]
    return Launch(
        dataset_version_id=part.version_id,
        model_ids=() if wish.recorded_name else [model.pk],
        recorded_names=[wish.recorded_name] if wish.recorded_name else (),
        responses="recorded" if wish.recorded_name else "fresh",
        scorers=first + [each for each in part.scorers if each not in first],
        template=part.template,
        params={} if wish.recorded_name else part.params,
        subset_id=part.subset.get("id"),
        sections=sections,
        limit=limit,
        label=benchmark.slug,
        name=f"{benchmark.name}: {model.title}",
        judges=list(part.judges.all()),
    )


def frozen_part(part: BenchmarkPart, phase: Phase | None, run_id: int) -> dict[str, Any]:
    """What was evaluated of a part, as it was. Needs the part's version, dataset and judges loaded."""
    sections, limit = wanted_slice(part, phase)
    judges = list(part.judges.all())
    scale = scale_of(Counted(part.primary, part.measure, part.scorers, judges))
    return {
        "part": part.pk,
        "run": run_id,
        "title": part.version.dataset.name,
        "version": part.version_id,
        "number": part.version.number,
        "subset": part.subset,
        "sections": sections,
        "limit": limit,
        "template": part.template,
        "params": part.params,
        "scorers": part.scorers,
        "judges": [
            {"id": each.pk, "fingerprint": each.fingerprint, "name": each.judge.name, "number": each.number}
            for each in judges
        ],
        "primary": part.primary,
        "measure": part.measure,
        "low": scale.low,
        "high": scale.high,
        "weight": part.weight,
    }


def baseline_set(access: Access, row: BenchmarkEvaluation, is_baseline: bool) -> None:
    """Baseline rows stand in the leaderboard marked; gates compare with the latest of them."""
    row.is_baseline = is_baseline
    row.save(update_fields=["is_baseline"])
    audit.record(access, "benchmark.baseline", f"{row.alias} (#{row.pk})", is_baseline=is_baseline)


def benchmark_evaluation_delete(access: Access, row: BenchmarkEvaluation) -> None:
    """With its runs, responses and scores, for good."""
    benchmark = row.benchmark.name
    evaluation_delete(access, row.evaluation)
    audit.record(access, "benchmark.evaluation_delete", f"{row.alias} on {benchmark} (#{row.pk})")


def task_create(
    access: Access, *, benchmarks: Sequence[Benchmark], wishes: Sequence[EvaluationWish], name: str = ""
) -> EvaluationTask:
    """Every model on every benchmark. Raises CannotEvaluate; then nothing is launched."""
    if not benchmarks or not wishes:
        raise CannotEvaluate("Choose at least one benchmark and at least one model.")
    if len(benchmarks) * len(wishes) > MOST_TOGETHER:
        raise CannotEvaluate(f"At most {MOST_TOGETHER} evaluations at once.")
    title = " ".join(name.split()) or f"{', '.join(each.name for each in benchmarks)}"
    with transaction.atomic():
        task = EvaluationTask.objects.create(
            workspace=access.workspace, name=title[:120], created_by=access.actor
        )
        for wish in wishes:
            for benchmark in benchmarks:
                evaluate(access, benchmark, wish, task=task)
        audit.record(access, "evaluation_task.create", task.name, at=timezone.now().isoformat())
    return task


def task_delete(access: Access, task: EvaluationTask) -> None:
    """With all its evaluations, for good."""
    for row in list(task.evaluations.select_related("evaluation", "benchmark")):
        benchmark_evaluation_delete(access, row)
    audit.record(access, "evaluation_task.delete", task.name)
    EvaluationTask.objects.filter(pk=task.pk).delete()
