"""Our own tables read again: cells as they were before a spreadsheet's needs changed them."""

import json
from collections.abc import Sequence
from typing import Any

from datasets.importers.jsonl import Refused, parse_json

COLUMNS = ("position", "id", "section", "prompt", "messages", "choices", "reference")
RESPONSE = "response: "
IMAGES = "images"
LISTS = ("messages", "choices", "reference", "metadata", IMAGES)


def is_ours(header: Sequence[str]) -> bool:
    return tuple(header[: len(COLUMNS)]) == COLUMNS and tuple(header[-2:]) == ("tags", "metadata")


def restored(values: dict[str, Any]) -> dict[str, Any]:
    """The fields as JSON Lines have them. A cell that does not fit stays text."""
    plain: dict[str, Any] = {"responses": {}}
    for name, cell in values.items():
        if name == "position":
            continue
        text = cell[1:] if cell is not None and cell.startswith("'") else cell
        if name.startswith(RESPONSE):
            plain["responses"][name.removeprefix(RESPONSE)] = text
        else:
            plain[name] = _value(name, text)
    plain["references"] = plain.pop("reference")
    if plain["messages"]:
        del plain["prompt"]  # the last of the messages
    return {name: value for name, value in plain.items() if name != "responses" or value}


def _value(name: str, text: str | None) -> Any:
    if text and name in LISTS and text[:1] in "[{":
        try:
            return parse_json(text)
        except (json.JSONDecodeError, Refused):
            return text
    return text
