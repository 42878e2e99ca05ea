"""`manage.py import_dataset`."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from datasets.models import DatasetVersion
from tests.datasets.files import jsonl
from workspaces.models import Workspace

ROWS = jsonl([{"q": "a", "r": "x"}, {"q": "", "r": "y"}, {"q": "c", "r": "z"}])


def run(*words: str) -> str:
    out = StringIO()
    call_command("import_dataset", *words, stdout=out, stderr=out)
    return out.getvalue()


def test_imports_a_file_without_its_bad_rows(alpha: Workspace, tmp_path: Path) -> None:
    path, bad = tmp_path / "my_rows.jsonl", tmp_path / "bad.csv"
    path.write_bytes(ROWS)
    words = [str(path), "--workspace", "alpha", "--map", "q=prompt", "r=response:GPT", "--problems", str(bad)]
    with pytest.raises(SystemExit):
        run(*words)
    assert not DatasetVersion.objects.exists()
    assert bad.read_text().splitlines()[1] == "2,q,the prompt is empty"
    assert run(*words, "--leave-out") == "Imported 2 items as version 1, 1 rows left out.\n"
    version = DatasetVersion.objects.get(dataset__name="my rows")
    assert (version.response_models, version.left_out) == (["GPT"], 1)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bad.csv", "my_rows.jsonl"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no.csv", "--workspace", "alpha"], "no such file"),
        ([__file__, "--workspace", "zzz"], "no such workspace"),
        ([__file__, "--workspace", "alpha", "--saved-mapping", "x"], "not saved"),
        ([__file__, "--workspace", "alpha", "--map", "q=nonsense"], "unknown use"),
    ],
)
def test_bad_usage_is_said(alpha: Workspace, words: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*words)
