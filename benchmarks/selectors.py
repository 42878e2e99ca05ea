"""What is read of benchmarks, always within one workspace: lists, evaluations, and their scores."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Count, Prefetch, Q, QuerySet

from analysis.stats.results import Interval
from benchmarks.models import (
    Benchmark,
    BenchmarkEvaluation,
    BenchmarkPart,
    EvaluationTask,
    Measure,
    Phase,
)
from benchmarks.scoring import Scale, Weighted, interval_of, overall
from datasets.models import DatasetVersion
from datasets.selectors import ready_versions
from judges.metrics import mean_estimate, proportion
from judges.models import JudgeVersion
from runs.metrics import Metric, Sums, elapsed_s, run_metrics, sums_by_scorer
from runs.models import Run, RunStatus
from workspaces.models import Workspace


def benchmarks_of(workspace: Workspace) -> QuerySet[Benchmark]:
    return Benchmark.objects.filter(workspace=workspace).select_related("owner", "workspace")


def benchmarks_listed(workspace: Workspace, *, archived: bool = False, q: str = "") -> list[Benchmark]:
    """By name, with their parts, phases and how often each was evaluated; four queries."""
    rows = benchmarks_of(workspace).filter(archived_at__isnull=not archived)
    rows = rows.filter(Q(name__icontains=q) | Q(summary__icontains=q)) if q else rows
    counted = rows.annotate(evaluation_count=Count("evaluations", distinct=True))
    parts = BenchmarkPart.objects.select_related("version__dataset")
    return list(counted.prefetch_related(Prefetch("parts", parts), "phases").order_by("name")[:500])


def parts_of(benchmark: Benchmark) -> QuerySet[BenchmarkPart]:
    """In order, with dataset and judges; two queries."""
    judges = JudgeVersion.objects.select_related("judge").prefetch_related("judge_models")
    rows = BenchmarkPart.objects.filter(benchmark=benchmark).select_related("version__dataset")
    return rows.prefetch_related(Prefetch("judges", judges)).order_by("position")


def phase_of(benchmark: Benchmark, phase_id: int | None) -> Phase | None:
    """The phase asked for, else the last that is current, else the last that was, else the first."""
    phases = list(benchmark.phases.all())
    if phase_id is not None and (asked := [phase for phase in phases if phase.pk == phase_id]):
        return asked[0]
    for state in ("current", "previous", "next"):
        found = [phase for phase in phases if phase.state == state]
        if found:
            return found[0] if state == "next" else found[-1]
    return None


@dataclass(frozen=True)
class PartScore:
    """One part of an evaluation: its frozen configuration, its run (None once deleted) and its figure."""

    frozen: Mapping[str, Any]
    run: Run | None
    figure: Interval

    @property
    def scale(self) -> Scale:
        return Scale(self.frozen["low"], self.frozen["high"])

    @property
    def whole(self) -> bool:
        """Whether every item has its verdict, of the primary scorer and of every judge."""
        run = self.run
        return bool(
            run
            and run.status == RunStatus.COMPLETED
            and run.done == run.total
            and all(
                judging.status == RunStatus.COMPLETED and not judging.errored
                for judging in run.judgings.all()
            )
        )

    @property
    def metrics(self) -> list[Metric]:
        """Those that get a tile; a pass-or-fail scorer's mean says no more than its share."""
        found = run_metrics(self.run, self.run.tallies.all()) if self.run else []
        accuracy = next((metric.value for metric in found if metric.key == "accuracy"), None)
        return [
            metric
            for metric in found
            if metric.key not in ("input_tokens", "output_tokens", "duration")
            and not (metric.key == "mean" and metric.value == accuracy)
        ]


@dataclass(frozen=True)
class Scored:
    """An evaluation with its parts and overall score, within 0..1."""

    row: BenchmarkEvaluation
    parts: Sequence[PartScore]

    @cached_property
    def overall(self) -> Interval:
        return overall([Weighted(part.figure, part.frozen["weight"]) for part in self.parts])

    @property
    def runs(self) -> list[Run]:
        return [part.run for part in self.parts if part.run]

    @property
    def finished(self) -> bool:
        """Nothing goes on any more, judges included."""
        judgings = [judging for run in self.runs for judging in run.judgings.all()]
        return all(run.is_finished for run in [*self.runs, *judgings])

    @property
    def status(self) -> str:
        """The worst of its runs while they go on or stopped, else completed."""
        states = [run.status for run in self.runs]
        order = (
            RunStatus.FAILED, RunStatus.CANCELED, RunStatus.PAUSED, RunStatus.RUNNING, RunStatus.PENDING
        )  # fmt: skip
        found = next((str(status) for status in order if status in states), "")
        return found or ("completed" if self.finished else "running")

    @property
    def whole(self) -> bool:
        return bool(self.parts) and all(part.whole for part in self.parts)

    @property
    def shortfall(self) -> str:
        """Why it does not rank, or ""."""
        if len(self.runs) < len(self.parts):
            return "a run of it was deleted"
        if not self.finished:
            return "still going on"
        if self.status != "completed":
            return str(self.status)
        missing = sum(run.total - run.done for run in self.runs)
        if missing:
            return f"{missing:,} of {sum(run.total for run in self.runs):,} items have no answer"
        if not self.whole:
            return "a judge left items without a verdict: retry them"
        return "" if self.overall.value is not None else self.overall.reason

    @property
    def done(self) -> int:
        return sum(run.done + run.errored for run in self.runs)

    @property
    def total(self) -> int:
        return sum(run.total for run in self.runs)

    @property
    def duration_s(self) -> float | None:
        known = [seconds for run in self.runs if (seconds := elapsed_s(run)) is not None]
        return sum(known) if known else None


def evaluations_of(workspace: Workspace) -> QuerySet[BenchmarkEvaluation]:
    """Newest first, with what `scored` reads: runs, tallies and judgings; four queries."""
    runs = Run.objects.filter(judged=None).select_related("dataset_version__dataset", "workspace")
    judgings = Run.objects.only("id", "status", "judged_id", "scorer", "errored")
    return (
        BenchmarkEvaluation.objects.filter(benchmark__workspace=workspace)
        .select_related("benchmark", "phase", "model", "created_by", "evaluation", "task")
        .prefetch_related(
            Prefetch("evaluation__runs", runs.prefetch_related("tallies", Prefetch("judgings", judgings)))
        )
        .order_by("-pk")
    )


def evaluations_named(text: str) -> Q:
    """Of models, or by people, of that name."""
    person = Q(created_by__name__icontains=text) | Q(created_by__email__icontains=text)
    return Q(alias__icontains=text) | person


def scored(row: BenchmarkEvaluation) -> Scored:
    """From what `evaluations_of` loaded; no query."""
    runs = {run.pk: run for run in row.evaluation.runs.all()}
    parts = row.frozen.get("parts", [])
    return Scored(
        row, [PartScore(each, run := runs.get(each["run"]), figure_of(each, run)) for each in parts]
    )


def all_scored(rows: Iterable[BenchmarkEvaluation]) -> list[Scored]:
    return [scored(row) for row in rows]


def figure_of(frozen: Mapping[str, Any], run: Run | None) -> Interval:
    """A part's primary metric within 0..1, from the run's tallies: Wilson for shares, t for means."""
    tallies = run.tallies.all() if run else []
    sums = sums_by_scorer(tallies).get(frozen["primary"], Sums())
    scale = Scale(frozen["low"], frozen["high"])
    if frozen["measure"] == Measure.SHARE:
        return interval_of(proportion(sums.passed, sums.scored), scale, "Wilson")
    mean = mean_estimate(sums.value_sum, sums.value_sum_squares, sums.scored)
    return interval_of(mean, scale, "t")


def made_of_misses(found: Scored) -> list[DatasetVersion]:
    """Datasets that were made of the items it missed; one query."""
    versions = ready_versions(found.row.benchmark.workspace).filter(origin__kind="misses")
    return list(versions.filter(origin__run__in=[run.pk for run in found.runs])[:20])


def evaluation_counts(benchmark: Benchmark) -> int:
    return benchmark.evaluations.count()


def tasks_of(workspace: Workspace) -> QuerySet[EvaluationTask]:
    rows = EvaluationTask.objects.filter(workspace=workspace).select_related("created_by")
    return rows.annotate(evaluation_count=Count("evaluations")).order_by("-pk")
