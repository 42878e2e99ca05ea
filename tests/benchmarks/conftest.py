"""Benchmarks over recorded responses, evaluated by the real engine."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from analysis.kept import kept
from benchmarks.models import Benchmark, BenchmarkEvaluation
from benchmarks.services import EvaluationWish, benchmark_create, evaluate
from benchmarks.wish import BenchmarkWish, PartWish, PhaseWish
from datasets.models import DatasetVersion
from runs.engine import host
from runs.engine.host import run_to_end
from workspaces.access import Access, access_for
from workspaces.models import User, Workspace

NUMERIC = {"key": "numeric", "name": "numeric", "options": {}}
Answers = dict[str, Sequence[int]]


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    kept.forget()


@pytest.fixture
def engine(transactional_db: None) -> Iterator[None]:
    yield
    host.stop_all()


@pytest.fixture
def held(alpha: Workspace, editor: User) -> Access:
    return access_for(editor, "alpha")


def answered(outcomes: Answers, section: str = "") -> list[dict[str, Any]]:
    """Items whose recorded responses are right (1), wrong (0), empty (-1)."""
    counts = {len(given) for given in outcomes.values()}
    said = {1: "{at}", 0: "0.5", -1: ""}
    return [
        {
            "external_id": f"i{at}",
            "section": section or ("even" if at % 2 == 0 else "odd"),
            "prompt": f"Item {at}{section}?",
            "references": [str(at)],
            "responses": {name: said[given[at - 1]].format(at=at) for name, given in outcomes.items()},
        }
        for at in range(1, counts.pop() + 1)
    ]


@pytest.fixture
def recorded(dataset: Callable[..., DatasetVersion]) -> Callable[..., DatasetVersion]:
    """`recorded({"a": [1, 0], "b": [1, 1]})`: a version with recorded responses of a and b."""

    def make(outcomes: Answers, section: str = "", **values: Any) -> DatasetVersion:
        return dataset(answered(outcomes, section), response_models=list(outcomes), **values)

    return make


@pytest.fixture
def benchmark_on(held: Access) -> Callable[..., Benchmark]:
    """A benchmark with a numeric part for each version."""

    def make(
        *versions: DatasetVersion,
        name: str = "Sums",
        weights: Sequence[float] = (),
        phases: Sequence[PhaseWish] = (),
    ) -> Benchmark:
        given = list(weights) or [1.0] * len(versions)
        parts = [
            PartWish(version_id=version.pk, scorers=[NUMERIC], weight=weight)
            for version, weight in zip(versions, given, strict=True)
        ]
        return benchmark_create(held, BenchmarkWish(name=name, parts=parts, phases=phases))

    return make


@pytest.fixture
def evaluated(held: Access, engine: None) -> Callable[..., BenchmarkEvaluation]:
    """Evaluates a recorded model and executes its runs to their end."""

    def make(benchmark: Benchmark, name: str, **wish: Any) -> BenchmarkEvaluation:
        row = evaluate(held, benchmark, EvaluationWish(recorded_name=name, **wish))
        for run_id in row.evaluation.runs.order_by("pk").values_list("pk", flat=True):
            run_to_end(run_id)
        return row

    return make
