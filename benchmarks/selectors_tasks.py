"""What a task came to: the score of each model on each benchmark, and over all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.stats.results import Interval
from benchmarks.models import Benchmark, EvaluationTask
from benchmarks.scoring import Weighted, overall
from benchmarks.selectors import Scored, all_scored, evaluations_of


@dataclass(frozen=True)
class TaskRow:
    """One model; `cells` are by benchmark, None where its evaluation was deleted."""

    alias: str
    overall: Interval
    cells: Sequence[Scored | None]


@dataclass(frozen=True)
class TaskTable:
    """Benchmarks count equally in the overall score."""

    benchmarks: Sequence[Benchmark]
    rows: Sequence[TaskRow]
    found: Sequence[Scored]

    @property
    def finished(self) -> bool:
        return all(each.finished for each in self.found)

    @property
    def configuration(self) -> Mapping[str, Scored]:
        """One evaluation of each benchmark: all froze the same."""
        return {each.row.benchmark.name: each for each in self.found}


def table_of(task: EvaluationTask) -> TaskTable:
    """Best first; five queries."""
    found = list(reversed(all_scored(evaluations_of(task.workspace).filter(task=task))))
    benchmarks = list({each.row.benchmark_id: each.row.benchmark for each in found}.values())
    rows = []
    for alias in dict.fromkeys(each.row.alias for each in found):
        mine = {each.row.benchmark_id: each for each in found if each.row.alias == alias}
        cells = [mine.get(benchmark.pk) for benchmark in benchmarks]
        whole = all(cell and not cell.shortfall for cell in cells)
        total = overall([Weighted(cell.overall, 1.0) for cell in cells if cell and whole])
        rows.append(TaskRow(alias, total, cells))
    return TaskTable(benchmarks, sorted(rows, key=lambda row: -(row.overall.value or -1.0)), found)
