"""The dataset "Everyday reasoning": questions from the file beside this module, and drawn pictures."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from datasets.mapping import FieldUse, Mapping
from evalportal.demo.pictures import PICTURES, data_url

NAME = "Everyday reasoning"
FILE = Path(__file__).with_name("everyday-reasoning.jsonl")
PICTURE_EVERY = 12  # a picture among so many questions, so that the first ones come soon
MAPPING = Mapping.of(
    FieldUse(path, use)
    for path, use in (
        ("id", "id"), ("section", "section"), ("question", "prompt"), ("choices", "choices"),
        ("answer", "reference"), ("picture", "asset"), ("working", "metadata"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """What the simulated models know of an item."""

    text: str
    choices: tuple[str, ...]
    answer: str
    working: str
    section: str
    needs_eyes: bool


@cache
def records() -> tuple[dict[str, Any], ...]:
    """All items as an upload would hold them."""
    texts = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    for at, one in enumerate(PICTURES, 1):
        record: dict[str, Any] = {"id": f"picture-{at:02d}", "section": "Pictures", "question": one.question}
        record |= {"choices": list(one.choices)} if one.choices else {}
        record |= {"answer": one.answer, "working": one.working, "picture": data_url(one.draw)}
        texts.insert(3 + (at - 1) * PICTURE_EVERY, record)
    return tuple(texts)


@cache
def questions() -> tuple[Question, ...]:
    return tuple(
        Question(
            text=record["question"],
            choices=tuple(record.get("choices", ())),
            answer=record["answer"],
            working=record["working"],
            section=record["section"],
            needs_eyes="picture" in record,
        )
        for record in records()
    )


def write_to(path: Path) -> None:
    path.write_text(
        "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records()), encoding="utf-8"
    )
