"""Small real files for the dataset tests."""

import base64
import json
from io import BytesIO
from typing import Any

from PIL import Image

from datasets.importers import rows_of
from datasets.mapping import FieldUse, Mapping

QUESTIONS = [
    {"id": "q1", "section": "sums", "question": "1 + 1?", "answer": 2, "responses": {"m1": "2", "m2": "3"}},
    {"id": "q2", "section": "sums", "question": "2 + 2?", "answer": 4, "responses": {"m1": "4"}},
    {"id": "q3", "section": "words", "question": "Capital of Ελλάδα?", "answer": ["Athens", "Αθήνα"]},
]


def mapping_of(*pairs: str) -> Mapping:
    """`mapping_of("question=prompt", "a.b=response:gpt")`"""
    split = [(pair.rpartition("=")[0], *pair.rpartition("=")[2].split(":", 1)) for pair in pairs]
    return Mapping.of(FieldUse(*parts) for parts in split)


def jsonl(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def png(width: int = 4, height: int = 3, colour: str = "red") -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def data_url(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def rows_in(data: bytes, name: str) -> list[Any]:
    return list(rows_of(BytesIO(data), name))
