"""The terminal's drafting, in this process: exit codes, what is printed, what is published."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from generation.models import DraftState, Generation
from registry.models import RegisteredModel
from tests.generation.conftest import DRAFTS, TOWNS, answer_with
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "towns.md"
    path.write_text(TOWNS)
    return path


def test_it_drafts_prints_and_publishes(
    document: Path, model: Callable[..., RegisteredModel], stub: StubEndpoint, engine: None, capsys: Any
) -> None:
    model()
    stub.set(text=answer_with([*DRAFTS, DRAFTS[0]]))
    words = ["--model", "stub-model", "--count", "3", "--publish", "--but-similar"]
    call_command("draft_queries", str(document), *words)
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["number"], row["similar_to"]) for row in printed] == [(1, None), (2, None), (3, 1)]
    generation = Generation.objects.get()
    assert generation.version and generation.version.item_count == 2
    assert generation.drafts.get(number=3).state == DraftState.OPEN


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "missing"], "--model missing"),
        (["--model", "stub-model", "--count", "0"], "--count: From 1"),
        (["--model", "stub-model", "--template", "@/nowhere"], "/nowhere"),
    ],
)
def test_bad_usage_ends_with_2(
    document: Path, model: Callable[..., RegisteredModel], words: list[str], message: str
) -> None:
    model()
    with pytest.raises(CommandError, match=message) as refused:
        call_command("draft_queries", str(document), *words)
    assert refused.value.returncode == 2
    assert not Generation.objects.exists()
