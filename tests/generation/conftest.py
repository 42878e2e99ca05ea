"""A model that drafts questions about whatever passage it is given."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from generation.models import Generation
from generation.services import Wish, drafts_collect, generation_begin
from registry.models import RegisteredModel
from runs.engine import host
from runs.tasks import pump
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access, system_access
from workspaces.models import Workspace

TOWNS = "Vienna lies on the Danube. It has two million people.\n\n"
RIVERS = "The Rhine begins in the Alps and ends in the North Sea.\n\n"
DRAFTS = [
    {"question": "On which river does Vienna lie?", "reference": "the Danube"},
    {"question": "Where does the Rhine begin?", "reference": "in the Alps"},
]


def answer_with(drafts: list[dict[str, Any]]) -> str:
    """As models write: reasoning, words and a code block around the JSON."""
    return f"<think>[{{}}]</think>Here you are:\n```json\n{json.dumps(drafts)}\n```\nAnything else?"


@pytest.fixture
def engine(transactional_db: None) -> Iterator[None]:
    yield
    host.stop_all()


@pytest.fixture
def alpha_access(alpha: Workspace) -> Access:
    return system_access(alpha)


@pytest.fixture
def begun(
    alpha_access: Access, model: Callable[..., RegisteredModel], stub: StubEndpoint
) -> Callable[..., Generation]:
    """Begins a drafting: `begun([("a.md", b"…")], wanted=2)`."""

    def make(files: Any = None, drafts: Any = DRAFTS, **wishes: Any) -> Generation:
        stub.set(text=drafts if isinstance(drafts, str) else answer_with(drafts))
        known: dict[str, Any] = {"name": "Geography", "wanted": 2, "model_id": model().pk}
        files = files or [("towns.md", (TOWNS + RIVERS).encode())]
        return generation_begin(alpha_access, Wish(files=files, **(known | wishes)))

    return make


@pytest.fixture
def drafted(begun: Callable[..., Generation], engine: None) -> Callable[..., Generation]:
    """The same, executed and read."""

    def make(*args: Any, **wishes: Any) -> Generation:
        generation = begun(*args, **wishes)
        pump(generation.run_id)
        drafts_collect(generation)
        return generation

    return make
