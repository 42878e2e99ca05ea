"""`manage.py evaluate --judge`: recorded responses and a judge, to the end of both."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from judges.models import JudgeVersion
from runs.models import Run, Score
from tests.runs.scripted_judge import ScriptedJudge
from tests.stub_endpoint import StubEndpoint

pytestmark = pytest.mark.usefixtures("engine")


def test_a_judge_scores_a_file_of_responses(
    judge: Callable[..., JudgeVersion], stub: StubEndpoint, tmp_path: Path
) -> None:
    stub.set(script=ScriptedJudge())
    judge()
    file = tmp_path / "answers.jsonl"
    rows = [{"q": f"What is {n} + {n}?", "a": "4"} for n in (1, 2, 3)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["evaluate", file, "--map", "input=q", "response=a", "--json"]
    with pytest.raises(CommandError, match="There are: classify judge"):
        call_command(*words, "--judge", "nobody")
    out = StringIO()
    call_command(*words, "--judge", "classify judge", stdout=out)
    said = json.loads(out.getvalue())
    assert (said["metrics"]["accuracy"]["value"], said["metrics"]["accuracy"]["n"]) == (1, 3)
    assert Score.objects.filter(scorer="classify judge", passed=True).count() == 3
    assert set(Run.objects.values_list("status", flat=True)) == {"completed"}
