"""`manage.py import_dataset`."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from datasets.models import DatasetVersion
from registry.models import RegisteredModel
from tests.catalogue.conftest import Hub, parquet
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


def test_data_of_the_hub(hub: Hub, alpha: Workspace) -> None:
    hub.hold("me/sums", "default", "train", [parquet([{"question": "1 + 1?", "answer": "2"}])])
    said = run("--hub", "me/sums", "--split", "train", "--workspace", "alpha", "--name", "Sums")
    assert said == "Imported 1 items as version 1.\n"
    version = DatasetVersion.objects.get(dataset__name="Sums")
    assert (version.origin["repo"], version.origin["commit"]) == ("me/sums", "c0ffee")
    assert run("--hub", "me/sums", "--split", "train", "--workspace", "alpha", "--name", "Sums").startswith(
        "Already there"
    )
    with pytest.raises(CommandError, match="it has train") as missing:
        run("--hub", "me/sums", "--workspace", "alpha")
    assert missing.value.returncode == 1


def test_a_known_benchmark_from_the_hub_and_from_a_file(
    hub: Hub, alpha: Workspace, tmp_path: Path, model: Callable[..., RegisteredModel]
) -> None:
    hub.hold("openai/gsm8k", "main", "test", [parquet([{"question": "1 + 1?", "answer": "#### 2"}])])
    assert run("--entry", "gsm8k", "--workspace", "alpha").endswith("The benchmark GSM8K is ready.\n")
    path, asked = tmp_path / "ifeval.jsonl", model()
    path.write_bytes(jsonl([{"key": 1, "prompt": "p", "instruction_id_list": ["x"], "kwargs": [{"n": 1}]}]))
    with pytest.raises(CommandError, match="choose the model") as waiting:
        run(str(path), "--entry", "ifeval", "--workspace", "alpha")
    assert waiting.value.returncode == 1
    assert DatasetVersion.objects.filter(dataset__name="IFEval").exists()
    said = run(str(path), "--entry", "ifeval", "--workspace", "alpha", "--judge-model", asked.name)
    assert said.startswith("Already there") and "The benchmark IFEval is ready." in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Give one of"),
        (["--hub", "a/b", "--entry", "gsm8k"], "Give one of"),
        ([__file__, "--hub", "a/b"], "Give one of"),
        (["--hub", "../b"], "owner/name"),
    ],
)
def test_what_does_not_go_together(hub: Hub, alpha: Workspace, words: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as bad:
        run(*words, "--workspace", "alpha")
    assert bad.value.returncode == 2


def test_without_a_hub_it_is_said(alpha: Workspace) -> None:
    with pytest.raises(CommandError, match="EVALPORTAL_HUB_URL"):
        run("--hub", "a/b", "--workspace", "alpha")


def test_a_query_upload_leaves_responses_out(alpha: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "both.jsonl"
    path.write_bytes(jsonl([{"question": "q?", "answer": "a", "responses": {"GPT": "b"}}]))
    run(str(path), "--workspace", "alpha", "--type", "query")
    run(str(path), "--workspace", "alpha")
    versions = DatasetVersion.objects.order_by("number")
    assert [version.response_models for version in versions] == [[], ["GPT"]]
