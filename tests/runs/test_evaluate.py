"""`manage.py evaluate`, as a command of its own process on an empty installation, and its refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from datasets.models import DatasetVersion
from registry.models import Provider, RegisteredModel
from runs.models import Attempt, Run
from tests.conftest import SHARED
from tests.stub_endpoint import StubEndpoint
from workspaces.models import Workspace

ROOT = Path(__file__).resolve().parents[2]
SOLUTIONS = SHARED / "data" / "gsm8k" / "example_model_solutions.jsonl"
# The publisher's own labels: see tests/judges/test_gsm8k.py.
CORRECT = {"6b_finetuning": 286, "6b_verification": 515, "175b_finetuning": 458, "175b_verification": 742}
ITEMS = [
    {"q": f"{n} + 1? [[answer:{n + 1}]]", "gold": n + 1, "m": {"out": f"A: {n + n % 2}"}} for n in range(40)
]
SECRET = "sk-terminal-0123456789"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
    return path


class Terminal:
    """A shell on an installation of its own."""

    def __init__(self, data: Path):
        blank = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("EVALPORTAL", "DATABASE"))
        }
        blank.pop("REDIS_URL", None)
        self.env = blank | {"EVALPORTAL_DATA": str(data)}

    def start(self, *words: Any, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "manage.py", "evaluate", *map(str, words)],
            cwd=ROOT, env=self.env | env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words: Any, **env: str) -> tuple[int, str, str]:
        process = self.start(*words, **env)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "data")


RECORDED = ("--map", "input=q", "reference=gold", "response=m.out", "--scorer", "numeric")
FRESH = ("--map", "input=q", "reference=gold", "--scorer", "numeric")


def test_recorded_responses_on_an_empty_installation(terminal: Terminal, file: Path) -> None:
    code, out, err = terminal.run(file, *RECORDED)
    assert code == 0, err
    assert "Run 1, m: completed · 40 items · 0 errors" in out
    assert "50.0 %" in out and "20 of 40" in out and "[35.2 %, 64.8 %]" in out
    assert "Setting up the database" in err
    code, out, err = terminal.run(file, *RECORDED, "--json", "--limit", 10)
    assert code == 0, err
    found = json.loads(out)
    assert out.count("\n") == 1
    assert found.keys() == {"run", "status", "n", "errors", "metrics", "seconds", "items_per_second"}
    assert (found["run"], found["status"], found["n"], found["errors"]) == (2, "completed", 10, 0)
    assert found["metrics"]["accuracy"].keys() >= {"value", "low", "high", "n", "correct"}
    assert found["metrics"]["accuracy"]["correct"] == 5 and found["items_per_second"] > 0


def test_endpoint_with_a_key(terminal: Terminal, file: Path, stub: StubEndpoint) -> None:
    stub.set(api_key=SECRET)
    words = (file, *FRESH, "--base-url", stub.base_url, "--model", "stub-model", "--json")
    code, out, err = terminal.run(*words)
    assert code == 1 and json.loads(out)["status"] == "paused"
    assert "--resume 1" in err and "key" in err.lower()
    code, out, err = terminal.run("--resume", 1, "--json", EVALPORTAL_API_KEY=SECRET)
    assert code == 0, err
    assert json.loads(out)["metrics"]["accuracy"]["correct"] == 40
    assert SECRET not in out + err
    code, out, err = terminal.run(*words, "--api-key-env", "MY_KEY", MY_KEY=SECRET)
    assert code == 0 and json.loads(out)["n"] == 40


def test_interrupt_cancels_and_resume_asks_only_the_rest(
    terminal: Terminal, file: Path, stub: StubEndpoint
) -> None:
    stub.set(latency_ms=200)
    process = terminal.start(
        file, *FRESH, "--base-url", stub.base_url, "--model", "stub-model", "--concurrency", 2, "--json"
    )
    deadline = time.monotonic() + 30
    while stub.stats.total < 6 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    found = json.loads(out)
    assert process.returncode == 1 and found["status"] == "canceled" and "--resume 1" in err
    assert "Traceback" not in err
    stub.set(latency_ms=0)
    code, out, err = terminal.run("--resume", 1, "--json")
    assert code == 0, err
    assert json.loads(out)["metrics"]["accuracy"]["n"] == 40
    assert stub.stats.total <= 40 + 2  # only what was in flight is asked twice


def test_two_terminals_share_an_installation(terminal: Terminal, file: Path, stub: StubEndpoint) -> None:
    terminal.run(file, *RECORDED)
    stub.set(latency_ms=50)
    words = (file, *FRESH, "--base-url", stub.base_url, "--model", "stub-model", "--json")
    both = [terminal.start(*words) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert stub.stats.total == 80


@pytest.mark.shared
@pytest.mark.parametrize(("system", "correct"), CORRECT.items())
def test_published_answers_recorded(terminal: Terminal, system: str, correct: int) -> None:
    code, out, err = terminal.run(
        SOLUTIONS, "--map", "input=question", "reference=ground_truth", f"response={system}.solution",
        "--scorer", "numeric", "--json",
    )  # fmt: skip
    assert code == 0, err
    accuracy = json.loads(out)["metrics"]["accuracy"]
    assert (accuracy["correct"], accuracy["n"]) == (correct, 1319)


@pytest.mark.shared
def test_published_answers_over_http(terminal: Terminal) -> None:
    server = subprocess.Popen(
        [sys.executable, str(SHARED / "tools" / "stub_llm.py"), "--port", "0", "--replay", str(SOLUTIONS)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[2]
        for system, correct in CORRECT.items():
            code, out, err = terminal.run(
                SOLUTIONS, "--map", "input=question", "reference=ground_truth", "--scorer", "numeric",
                "--base-url", url, "--model", system, "--concurrency", 64, "--json",
            )  # fmt: skip
            assert code == 0, err
            accuracy = json.loads(out)["metrics"]["accuracy"]
            assert (accuracy["correct"], accuracy["n"]) == (correct, 1319)
    finally:
        server.terminate()
        server.communicate(timeout=60)


# Refusals, in this process


def refusal(*words: Any) -> str:
    """The message of a command that must be refused as bad usage."""
    with pytest.raises(CommandError) as caught:
        call_command("evaluate", *map(str, words), stdout=StringIO(), stderr=StringIO())
    assert caught.value.returncode == 2
    assert not Run.objects.exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--map", "input=q", "response=m.out"), "--scorer: name one of exact_match"),
        ((*RECORDED[:-1], "numerc"), "did you mean numeric"),
        ((*RECORDED, "--scorer-option", "percnt=no"), "did you mean percent"),
        ((*RECORDED, "--scorer-option", "percent"), "NAME=VALUE"),
        ((*RECORDED, "--scorer-option", "percent=perhaps"), "neither true nor false"),
        ((*RECORDED, "--scorer", "includes", "--scorer-option", "percent=no"), "numeric.percent"),
        ((*RECORDED, "--scorer-option", "regex.pattern=a"), "--scorer regex is not given"),
        (("--map", "input=qq", "response=m.out", "--scorer", "numeric"), "did you mean q"),
        (
            ("--map", "input=q", "reference=gould", "response=m.out", "--scorer", "numeric"),
            "did you mean gold",
        ),
        (("--map", "input=q", "response=m", "--scorer", "numeric"), "m.out"),
        (("--map", "inptu=q", "response=m.out", "--scorer", "numeric"), "did you mean input"),
        (("--map", "input", "response=m.out", "--scorer", "numeric"), "USE=FIELD"),
        (("--map", "reference=gold", "response=m.out", "--scorer", "numeric"), "such as input=q"),
        (("--map", "input=q", "input=gold", "response=m.out", "--scorer", "numeric"), "given twice"),
        (("--map", "input=q", "reference=gold", "--scorer", "numeric"), "Say what answers"),
        ((*FRESH, "--model", "nope"), "no such model"),
        ((*FRESH, "--base-url", "ftp://x", "--model", "m"), "--base-url ftp://x"),
        ((*RECORDED, "--base-url", "http://127.0.0.1:1/v1", "--model", "m"), "not both"),
        ((*RECORDED, "--template", "{{ gold }}"), "gold"),
        ((*RECORDED, "--template", "@/nowhere"), "/nowhere"),
        ((*RECORDED, "--limit", "0"), "--limit"),
        ((*RECORDED, "--param", "temperature=9"), "temperature"),
        ((*RECORDED, "--param", "temperature"), "NAME=VALUE"),
        ((*RECORDED, "--workspace", "alhpa"), "did you mean alpha"),
        ((*RECORDED, "--api-key-env", "NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
    ],
)
def test_bad_usage_says_what_to_change(
    alpha: Workspace, file: Path, words: tuple[str, ...], part: str
) -> None:
    assert part in refusal(file, *words)


def test_file_and_resume_are_checked(alpha: Workspace, file: Path, tmp_path: Path) -> None:
    assert "Name a FILE" in refusal()
    assert "Name a FILE" in refusal(file, "--resume", 1)
    assert "There is no file" in refusal(tmp_path / "none.jsonl", *RECORDED)
    assert "no such run" in refusal("--resume", 4711)
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"q": "a", "gold": 1, "m": {"out": "1"}}\n{"q": \n')
    assert "line 2" in refusal(broken, *RECORDED)
    assert not DatasetVersion.objects.exists()
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert "no rows" in refusal(empty, *RECORDED)


def test_several_workspaces_must_be_told_apart(alpha: Workspace, beta: Workspace, file: Path) -> None:
    assert "name one of alpha, beta" in refusal(file, *RECORDED)


def evaluated(*words: Any) -> dict[str, Any]:
    out = StringIO()
    call_command("evaluate", *map(str, words), "--json", stdout=out, stderr=StringIO())
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


@pytest.mark.usefixtures("engine")
class TestInThisProcess:
    def test_same_content_is_found_again(self, alpha: Workspace, file: Path) -> None:
        evaluated(file, *RECORDED)
        evaluated(file, *RECORDED)
        assert DatasetVersion.objects.count() == 1 and Run.objects.count() == 2

    def test_registered_model_template_and_parameters(
        self, alpha: Workspace, file: Path, model: Callable[..., RegisteredModel], stub: StubEndpoint
    ) -> None:
        model(alias="Stubby")
        found = evaluated(
            file, *FRESH, "--model", "Stubby", "--template", "Work out: {{ input }}",
            "--param", "temperature=0.5", "--param", 'stop=["\\n"]', "--scorer", "includes",
            "--scorer-option", "numeric.percent=no",
        )  # fmt: skip
        run = Run.objects.get(pk=found["run"])
        assert run.config["template"] == "Work out: {{ input }}"
        assert run.config["params"] == {"temperature": 0.5, "stop": ["\n"]}
        assert [scorer["options"] for scorer in run.config["scorers"]] == [{"percent": "no"}, {}]
        assert found["metrics"]["includes"]["n"] == 40

    def test_key_is_stored_encrypted_and_nowhere_else(
        self, alpha: Workspace, file: Path, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EVALPORTAL_API_KEY", SECRET)
        evaluated(file, *FRESH, "--base-url", stub.base_url, "--model", "stub-model")
        assert Provider.objects.get().api_key.reveal() == SECRET
        assert SECRET not in json.dumps(Run.objects.get().config)

    def test_errors_left_are_told_and_retried_by_resume(
        self, alpha: Workspace, file: Path, stub: StubEndpoint
    ) -> None:
        stub.set(fail_first=1, fail_mode=["400"])
        with pytest.raises(SystemExit) as ended:
            evaluated(file, *FRESH, "--base-url", stub.base_url, "--model", "stub-model", "--limit", 3)
        run = Run.objects.get()
        assert (ended.value.code, run.status, run.errored) == (1, "failed", 3)
        again = evaluated("--resume", run.pk)
        assert (again["errors"], again["metrics"]["accuracy"]["n"]) == (0, 3)
        assert Attempt.objects.count() == 6
