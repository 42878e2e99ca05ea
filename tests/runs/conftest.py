"""Launching and executing runs in tests: the real engine, the scripted endpoint."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from datasets.models import DatasetVersion
from judges.draft import Draft
from judges.models import JudgeVersion
from judges.services import judge_create
from registry.models import Provider, RegisteredModel
from runs.engine import host
from runs.models import Run
from runs.services import Launch, launch
from tests.runs.processes import Process, seen
from workspaces.access import Access, system_access
from workspaces.models import Workspace


@pytest.fixture
def engine(transactional_db: None) -> Iterator[None]:
    """The process's engine, stopped after the test so that its connection does not outlive the database."""
    yield
    host.stop_all()


@pytest.fixture
def alpha_access(alpha: Workspace) -> Access:
    return system_access(alpha)


@pytest.fixture
def launched(
    alpha_access: Access, dataset: Callable[..., DatasetVersion], model: Callable[..., RegisteredModel]
) -> Callable[..., Run]:
    """Launches one run: `launched(items=10, target=…, **wishes)`; scored by the number after ANSWER."""

    def make(
        items: int | list[dict[str, Any]] = 10, target: RegisteredModel | None = None, **wishes: Any
    ) -> Run:
        version = wishes.pop("version", None) or dataset(items)
        known: dict[str, Any] = {"scorers": [{"key": "numeric"}], "model_ids": [(target or model()).pk]}
        evaluation = launch(alpha_access, Launch(dataset_version_id=version.pk, **(known | wishes)))
        return evaluation.runs.get(judged=None)

    return make


CLASSIFY = {
    "kind": "classify",
    "user_template": "{{ input }} {{ reference }} {{ response }}",
    "labels": [{"label": "Correct", "passes": True}, {"label": "Wrong", "passes": False}],
}
SCORE = {
    "kind": "score", "user_template": "{{ input }} {{ response }}", "minimum": 1, "maximum": 5,
    "threshold": 4, "integer": True, "aggregate": "mean",
}  # fmt: skip
COMPARE = {"kind": "compare", "user_template": "{{ input }} A: {{ response_a }} B: {{ response_b }}"}
KINDS = {"classify": CLASSIFY, "score": SCORE, "compare": COMPARE}


@pytest.fixture
def judge(alpha_access: Access, model: Callable[..., RegisteredModel]) -> Callable[..., JudgeVersion]:
    """Makes judges: `judge("score", models=["judge-a", "judge-b"], name=…, repeats=3, …)`."""

    def make(kind: str = "classify", models: Sequence[str] = ("judge-a",), **fields: Any) -> JudgeVersion:
        known = {"name": f"{kind} judge", **KINDS[kind]}
        asked = [model(name=name).pk for name in models]
        return judge_create(alpha_access, Draft(**(known | {"model_ids": asked} | fields)))

    return make


@pytest_asyncio.fixture
async def process(provider: Callable[..., Provider]) -> AsyncIterator[Callable[..., Process]]:
    """Makes processes that use one provider: `process("a")`."""
    made: list[Process] = []
    shared = await seen(provider)

    def make(owner: str) -> Process:
        made.append(Process(owner, shared.pk))
        return made[-1]

    yield make
    for each in made:
        await each.end()
