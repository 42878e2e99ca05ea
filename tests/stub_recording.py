"""Recorded answers for the scripted endpoint to replay."""

import json
from pathlib import Path
from typing import Any


def recorded(table: dict[str, dict[str, str]], prompt: str) -> dict[str, str]:
    return table.get(prompt.strip()) or next(
        (row for question, row in table.items() if question in prompt), {}
    )


def read_recording(path: Path) -> dict[str, dict[str, str]]:
    """A JSONL of {"question": …, model: text or {"solution": text}} as question → {model: text}."""
    table: dict[str, dict[str, str]] = {}
    with path.open(encoding="utf-8") as lines:
        for row in map(json.loads, filter(str.strip, lines)):
            answers = {name: text_in(value) for name, value in row.items()}
            question = str(answers.pop("question")).strip()
            answers.pop("ground_truth", None)
            table[question] = {name: text for name, text in answers.items() if text is not None}
    return table


def text_in(value: Any) -> str | None:
    """The answer in a cell: a text, or an object's `solution`; None for anything else."""
    if isinstance(value, dict):
        return str(value.get("solution") or "")
    return value if isinstance(value, str) else None
