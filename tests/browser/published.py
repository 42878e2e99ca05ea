"""The four published GSM8K systems as one file to upload, and majority votes of them."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.conftest import SHARED

SYSTEMS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
STEPS = ("1–2 steps", "3 steps", "4 steps", "5 steps", "6+ steps")
BEST_FIRST = ("175b_verification", "6b_verification", "175b_finetuning", "6b_finetuning")
VOTES = {
    "Vote of four": BEST_FIRST,
    "Vote of three": BEST_FIRST[:3],
    "Vote without 175B verification": BEST_FIRST[1:],
}


def last_number(response: str) -> float | None:
    found = re.findall(r"-?[\d,]*\.?\d+", response)
    return float(found[-1].replace(",", "")) if found else None


def voted(responses: Mapping[str, str], voters: Sequence[str]) -> str:
    """The response whose last number most voters share; of a tie, the best voter's."""
    numbers = {name: last_number(responses[name]) for name in voters}
    counts = Counter(number for number in numbers.values() if number is not None)
    return responses[max(voters, key=lambda name: counts[numbers[name]] if numbers[name] is not None else 0)]


def write_file(path: Path, *, votes: bool = False) -> None:
    """A row an item, its section by the steps in the reference."""
    folder = SHARED / "data" / "gsm8k"
    questions = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    solved = (folder / "example_model_solutions.jsonl").read_text().splitlines()
    with path.open("w") as file:
        for question, line in zip(questions, solved, strict=True):
            steps = STEPS[min(max(question["answer"].count("<<"), 2), 6) - 2]
            answers = {name: json.loads(line)[name]["solution"] for name in SYSTEMS}
            if votes:
                answers |= {name: voted(answers, voters) for name, voters in VOTES.items()}
            row = {"section": steps, "question": question["question"], "answer": question["answer"]}
            file.write(json.dumps(row | {"responses": answers}) + "\n")


def upload(page: Page, home: str, path: Path, *, votes: bool = False) -> None:
    write_file(path, votes=votes)
    page.goto(f"{home}datasets/upload/")
    page.set_input_files("input[type=file]", path)
    page.get_by_label(re.compile("^Query \\+ response")).check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name=re.compile("^Import")).click()
    expect(page.get_by_text("Janet’s ducks lay").first).to_be_visible(timeout=60_000)
