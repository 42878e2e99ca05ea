"""Lint, format and types of the whole project: the same as `make lint`, as part of the tests."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def passes(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


def test_lint_is_clean() -> None:
    passes("ruff", "check", "--quiet", ".")


def test_format_is_uniform() -> None:
    passes("ruff", "format", "--check", "--quiet", ".")


def test_types_are_strict() -> None:
    passes("mypy", "--no-error-summary")


def test_scripts_are_valid_bash() -> None:
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run([bash, "-n", str(ROOT / ".ci" / "run")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
