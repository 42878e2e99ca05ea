"""Putting gates to a model: who is the candidate, who the baseline, and what each rule says of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import QuerySet

from analysis.comparison import NotComparable as RunsNotComparable
from analysis.comparison import RunsMissing, compare
from analysis.stats.noninferiority import Outcome
from benchmarks.models import Benchmark, BenchmarkPart, Gate
from benchmarks.rules import Rule, Ruling, Side, Subject, build_rule
from benchmarks.rules.base import inconclusive
from benchmarks.scoring import PartPair, paired
from benchmarks.selectors import Scored, all_scored, evaluations_of, parts_of
from benchmarks.selectors_leaderboard import NotComparable, Row, View, row_of
from datasets.models import Dataset
from evalportal.lib.plugins import UnknownPlugin
from judges.options import BadOptions
from runs.models import Run, RunStatus
from runs.selectors import listed, with_counters
from workspaces.models import Workspace

NO_BASELINE = "No baseline: mark an evaluation as one, or name a model in the gate."
EXIT_CODES = {Outcome.PASS: 0, Outcome.FAIL: 100, Outcome.INCONCLUSIVE: 101}


@dataclass(frozen=True)
class Candidate:
    """Who is put to the gates: an evaluation or a run by id, else the latest of a model, else the latest."""

    model: str = ""
    evaluation: int | None = None
    run: int | None = None


@dataclass(frozen=True)
class Ruled:
    """A gate with its ruling and who it is about."""

    gate: Gate
    rule: str
    ruling: Ruling
    candidate: str
    baseline: str


@dataclass(frozen=True)
class Report:
    """All gates of one benchmark or dataset. Without gates nothing is decided: inconclusive."""

    title: str
    rulings: Sequence[Ruled]

    @property
    def outcome(self) -> Outcome:
        outcomes = {each.ruling.outcome for each in self.rulings}
        if Outcome.FAIL in outcomes:
            return Outcome.FAIL
        return Outcome.PASS if outcomes == {Outcome.PASS} else Outcome.INCONCLUSIVE

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.outcome]

    def as_json(self) -> dict[str, Any]:
        return {
            "of": self.title,
            "outcome": str(self.outcome),
            "exit_code": self.exit_code,
            "gates": [
                {
                    "id": each.gate.pk,
                    "rule": each.gate.rule,
                    "words": each.rule,
                    "outcome": str(each.ruling.outcome),
                    "figures": each.ruling.figures,
                    "items_needed": each.ruling.needed if each.ruling.needed_of == "items" else None,
                    "labels_needed": each.ruling.needed if each.ruling.needed_of == "labels" else None,
                    "candidate": each.candidate or None,
                    "baseline": each.baseline or None,
                    "detail": each.ruling.detail,
                }
                for each in self.rulings
            ],
        }


def gates_of(workspace: Workspace) -> QuerySet[Gate]:
    return Gate.objects.filter(workspace=workspace).select_related("benchmark", "dataset")


def benchmark_report(benchmark: Benchmark, candidate: Candidate = Candidate()) -> Report:
    """A fixed number of queries, then one a run and gate at most."""
    gates = list(gates_of(benchmark.workspace).filter(benchmark=benchmark))
    parts = list(parts_of(benchmark))
    rows = all_scored(evaluations_of(benchmark.workspace).filter(benchmark=benchmark)) if gates else []
    whole = [each for each in rows if not each.shortfall]

    def subject(rule: Rule[Any]) -> Subject:
        return _benchmark_subject(benchmark, parts, whole, candidate, rule)

    return Report(benchmark.name, [_ruled(gate, subject) for gate in gates])


def dataset_report(dataset: Dataset, candidate: Candidate = Candidate()) -> Report:
    gates = list(gates_of(dataset.workspace).filter(dataset=dataset))

    def subject(rule: Rule[Any]) -> Subject:
        return _dataset_subject(dataset, candidate, rule)

    return Report(dataset.name, [_ruled(gate, subject) for gate in gates])


def _ruled(gate: Gate, subject_of: Any) -> Ruled:
    try:
        rule = build_rule(gate.rule, gate.options)
    except (UnknownPlugin, BadOptions) as error:
        return Ruled(gate, gate.rule, inconclusive(f"This gate cannot be read: {error}"), "", "")
    subject: Subject = subject_of(rule)
    names = [side.name if side else "" for side in (subject.candidate, subject.baseline)]
    return Ruled(gate, str(rule), rule.judge(subject), names[0], names[1])


def _benchmark_subject(
    benchmark: Benchmark,
    parts: Sequence[BenchmarkPart],
    whole: Sequence[Scored],
    wanted: Candidate,
    rule: Rule[Any],
) -> Subject:
    judges = [(judge.pk, part.version.dataset_id) for part in parts for judge in part.judges.all()]
    subject = Subject(benchmark.workspace, judged=judges)
    if not rule.compares:
        return subject
    options = rule.options
    candidate = next((each for each in whole if _is_wanted(each, wanted)), None)
    if candidate is None:
        return Subject(benchmark.workspace, missing="No finished evaluation of the candidate.")
    others = [each for each in whole if each.row.phase_id == candidate.row.phase_id and each != candidate]
    baseline = next((each for each in others if _is_baseline(each, options.baseline)), None)
    if baseline is None:
        return Subject(benchmark.workspace, Side(candidate.row.alias, ()), missing=NO_BASELINE)
    view = View(metric=options.scorer)
    try:
        there, here = (row_of(each, parts, candidate.row.phase, view) for each in (baseline, candidate))
    except NotComparable as error:
        return Subject(benchmark.workspace, Side(candidate.row.alias, ()), missing=f"{error}.")
    return Subject(
        benchmark.workspace,
        Side(candidate.row.alias, _runs(here)),
        Side(baseline.row.alias, _runs(there)),
        [paired(a, b, part.weight) for a, b, part in zip(there.columns, here.columns, parts, strict=True)],
        judges,
    )


def _is_wanted(each: Scored, wanted: Candidate) -> bool:
    """The newest first: the first that fits."""
    if wanted.evaluation is not None:
        return each.row.pk == wanted.evaluation
    if wanted.run is not None:
        return wanted.run in {run.pk for run in each.runs}
    return each.row.alias == wanted.model if wanted.model else not each.row.is_baseline


def _is_baseline(each: Scored, alias: str) -> bool:
    return each.row.alias == alias if alias else each.row.is_baseline


def _runs(row: Row) -> list[Run]:
    return row.scored.runs


def _dataset_subject(dataset: Dataset, wanted: Candidate, rule: Rule[Any]) -> Subject:
    workspace = dataset.workspace
    completed = with_counters(
        listed(workspace).filter(dataset_version__dataset=dataset, status=RunStatus.COMPLETED).order_by("-pk")
    )
    named = {"pk": wanted.run} if wanted.run is not None else {"alias": wanted.model} if wanted.model else {}
    candidate = completed.filter(**named).first()
    if candidate is None:
        return Subject(workspace, missing=f"No completed run of the candidate on {dataset.name}.")
    side = Side(f"{candidate.alias} #{candidate.pk}", [candidate])
    judges = [
        (judge["version"], dataset.pk) for judge in candidate.config.get("judges", []) if judge.get("version")
    ]
    if not rule.compares:
        return Subject(workspace, side, judged=judges)
    alias = rule.options.baseline
    baseline = completed.filter(alias=alias).exclude(pk=candidate.pk).first() if alias else None
    if baseline is None:
        return Subject(workspace, side, missing=f"No completed run of {alias or 'a baseline'}: name a model.")
    return _compared(workspace, side, baseline, rule.options.scorer, judges)


def _compared(
    workspace: Workspace, side: Side, baseline: Run, scorer: str, judges: Sequence[tuple[int, int]]
) -> Subject:
    try:
        found = compare(workspace, [baseline.pk, side.runs[0].pk], scorer)
    except (RunsMissing, RunsNotComparable) as error:
        return Subject(workspace, side, missing=str(error))
    if not found.verdicts:
        return Subject(workspace, side, missing=f"{found.scorer} gives values without pass or fail.")
    rows = found.common
    pair = PartPair(
        found.scores[rows, 0], found.scores[rows, 1], found.binary, 1.0, np.asarray(found.items[rows, 1])
    )
    name = f"{baseline.alias} #{baseline.pk}"
    return Subject(workspace, side, Side(name, [baseline]), [pair], judges)
