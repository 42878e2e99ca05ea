"""The tests of what behaves differently on PostgreSQL (claims, records, queries), run again there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import ROOT, environment

pytestmark = pytest.mark.services
AGAIN = (
    "tests/workspaces", "tests/registry", "tests/datasets", "tests/runs", "tests/generation",
    "tests/analysis/test_comparison.py",
)  # fmt: skip
LEFT_OUT = "not services and not browser and not shared"


def test_the_apps_behave_the_same_on_postgres(postgres_url: str, tmp_path: Path) -> None:
    env = {"DATABASE_URL": postgres_url, "EVALPORTAL_DATA": str(tmp_path), "REDIS_URL": ""}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *AGAIN, "-m", LEFT_OUT, "--tb=short"],
        cwd=ROOT, env=environment(env), capture_output=True, text=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    if done.returncode:
        pytest.fail("\n".join(["on PostgreSQL:", *lines[-200:], done.stderr[-2000:]]), pytrace=False)
    passed = re.search(r"(\d+) passed", lines[-1])
    assert passed and int(passed[1]) > 50, lines[-1]
