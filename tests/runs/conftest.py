"""Launching and executing runs in tests: the real engine, the scripted endpoint."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from datasets.models import DatasetVersion
from registry.models import RegisteredModel
from runs.engine import host
from runs.models import Run
from runs.services import Launch, launch
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
        return evaluation.runs.get()

    return make
