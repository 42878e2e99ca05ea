"""Judges that are stored, and a judge model that says what the test wants."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from judges.draft import Draft
from judges.models import DECIDING, JudgeVersion
from judges.services import judge_create
from registry.models import RegisteredModel
from tests.judges.frozen import frozen
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access
from workspaces.models import Role, User, Workspace

Made = Callable[..., JudgeVersion]


@pytest.fixture
def held(alpha: Workspace, editor: User) -> Access:
    return Access(workspace=alpha, role=Role.EDITOR, user=editor)


@pytest.fixture
def judge_model(model: Callable[..., RegisteredModel]) -> RegisteredModel:
    return model(name="judge-model", alias="Judge")


def draft_of(kind: str, *models: RegisteredModel, **changes: Any) -> Draft:
    """A draft that can be stored."""
    shape = frozen(kind)
    values = {name: shape[name] for name in DECIDING} | {"name": f"{kind}-judge"} | changes
    return Draft(model_ids=[each.pk for each in models], **values)


@pytest.fixture
def made(held: Access, judge_model: RegisteredModel) -> Made:
    """Stores judges: `made("score", name=…)`."""

    def make(kind: str = "classify", **changes: Any) -> JudgeVersion:
        return judge_create(held, draft_of(kind, judge_model, **changes))

    return make


@pytest.fixture
def says(stub: StubEndpoint) -> Callable[..., None]:
    """Makes the judge model give this text, or what a function of the request's body returns."""

    def script(answer: Any = None, **verdict: Any) -> None:
        text = answer if answer is not None else json.dumps({"feedback": "Because.", **verdict})
        stub.set(script=text if callable(text) else lambda body: text)

    return script
