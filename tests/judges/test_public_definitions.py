"""Equality with public implementations on GSM8K's answers: sacrebleu's command line live, the others by
figures that they once gave (`data/published.json` says which and over what)."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from judges.extraction import FILTERS
from judges.options import read_options
from judges.scorers import Subject, build_scorer
from tests.conftest import SHARED

GSM8K = SHARED / "data" / "gsm8k"
SYSTEMS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
PUBLISHED: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "published.json").read_text())

pytestmark = pytest.mark.shared


def solutions() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GSM8K / "example_model_solutions.jsonl").read_text().splitlines()]


def pairs(count: int = 300) -> list[tuple[str, str]]:
    """(response, reference) of one real system."""
    return [(row["175b_verification"]["solution"], row["ground_truth"]) for row in solutions()[:count]]


def values(key: str, cases: list[tuple[str, str]], **options: Any) -> list[float | None]:
    scorer = build_scorer(key, options)
    return [scorer.score(Subject(response, [reference])).value for response, reference in cases]


@pytest.mark.parametrize(
    ("key", "options", "arguments"),
    [
        ("bleu", {}, ["-m", "bleu"]),
        ("bleu", {"tokenize": "intl", "lowercase": True}, ["-m", "bleu", "-tok", "intl", "-lc"]),
        ("bleu", {"tokenize": "char"}, ["-m", "bleu", "-tok", "char"]),
        ("chrf", {}, ["-m", "chrf"]),
        ("chrf", {"word_order": "2"}, ["-m", "chrf", "--chrf-word-order", "2"]),
    ],
)
def test_sacrebleu_command_line(
    key: str, options: dict[str, Any], arguments: list[str], tmp_path: Path
) -> None:
    """Sentence by sentence; the command reads lines, so line breaks are made spaces."""
    cases = [(" ".join(response.split()), " ".join(reference.split())) for response, reference in pairs()]
    for name, column in (("given", 0), ("wanted", 1)):
        (tmp_path / name).write_text("".join(case[column] + "\n" for case in cases))
    command = [sys.executable, "-m", "sacrebleu", "wanted", "-i", "given", "-sl", "-b", "-w", "6", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    theirs = [float(line) for line in done.stdout.split()]
    assert len(theirs) == 300
    assert values(key, cases, **options) == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("variant", ["rouge1", "rouge2", "rougeL"])
def test_rouge_score(variant: str) -> None:
    assert values("rouge", pairs(), variant=variant) == pytest.approx(PUBLISHED[variant], abs=1e-8)


def test_squad_f1() -> None:
    assert values("token_f1", pairs()) == pytest.approx(PUBLISHED["squad_f1"], abs=1e-8)


def test_squad_exact() -> None:
    last_lines = [(response.splitlines()[-1], reference.splitlines()[-1]) for response, reference in pairs()]
    ours = values("token_f1", last_lines, measure="exact")
    assert ours == PUBLISHED["squad_exact"] and 0 < sum(PUBLISHED["squad_exact"]) < 300


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("strict-match", {"pattern": r"#### (\-?[0-9\.\,]+)", "occurrence": "first"}),
        ("flexible-extract", {"pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "occurrence": "last"}),
    ],
)
def test_lm_evaluation_harness_filters(name: str, options: dict[str, str]) -> None:
    rows = solutions()
    texts = [json.loads(line)["answer"] for line in (GSM8K / "test.jsonl").read_text().splitlines()]
    for system in SYSTEMS:
        texts += [row[system]["solution"] for row in rows]
        texts += [row[system]["solution"].replace("\nA: ", "\n#### ") for row in rows]
    kind = FILTERS["regex"]
    built = kind(read_options(kind, options))
    found = [piece.text if (piece := built.find(text, ())) else "[invalid]" for text in texts]
    theirs = PUBLISHED["lm_eval"][name]
    assert len(texts) == PUBLISHED["texts"] and found[:20] == theirs["first"]
    assert found.count("[invalid]") == theirs["invalid"]
    assert hashlib.sha256("\n".join(found).encode()).hexdigest() == theirs["sha256"]
