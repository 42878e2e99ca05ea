"""What people command of benchmarks: make, change, evaluate, decide; for pages, admin, API and terminal."""

from benchmarks.services.editing import (
    benchmark_archive,
    benchmark_create,
    benchmark_delete,
    benchmark_publish,
    benchmark_update,
)
from benchmarks.services.evaluating import (
    CannotEvaluate,
    EvaluationWish,
    baseline_set,
    benchmark_evaluation_delete,
    evaluate,
    task_create,
    task_delete,
)

__all__ = [
    "CannotEvaluate",
    "EvaluationWish",
    "baseline_set",
    "benchmark_archive",
    "benchmark_create",
    "benchmark_delete",
    "benchmark_evaluation_delete",
    "benchmark_publish",
    "benchmark_update",
    "evaluate",
    "task_create",
    "task_delete",
]
