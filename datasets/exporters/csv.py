"""Items as a table for spreadsheets: formulas neutralised, images left out."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from datasets.models import DatasetVersion, Item
from datasets.selectors import all_items
from evalportal.lib.csv_safety import csv_lines

COLUMNS = ("position", "id", "section", "prompt", "messages", "choices", "reference")


class CsvExport:
    content_type: ClassVar[str] = "text/csv; charset=utf-8"

    def parts(self, version: DatasetVersion) -> Iterator[str]:
        yield from csv_lines(self._rows(version))

    def _rows(self, version: DatasetVersion) -> Iterator[list[Any]]:
        models = version.response_models
        yield [*COLUMNS, *(f"response: {name}" for name in models), "metadata"]
        for item in all_items(version):
            yield [*_cells(item), *(item.responses.get(name, "") for name in models), _json(item.metadata)]


def _cells(item: Item) -> list[Any]:
    references = item.references
    return [
        item.position,
        item.external_id,
        item.section,
        item.prompt,
        _json(item.messages),
        _json(item.choices),
        references[0] if len(references) == 1 else _json(references),
    ]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""
