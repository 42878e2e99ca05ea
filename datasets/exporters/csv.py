"""Items as a table for spreadsheets: formulas neutralised by a quote, images as data URLs.

A reader that takes one leading quote away has every cell as it was; ours does, see `importers.tables`.
"""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from datasets.exporters.jsonl import data_url
from datasets.importers.tables import COLUMNS, IMAGES, RESPONSE
from datasets.models import DatasetVersion, Item, ItemAsset
from datasets.selectors import all_items
from evalportal.lib.csv_safety import csv_lines


class CsvExport:
    title: ClassVar[str] = "CSV"
    content_type: ClassVar[str] = "text/csv; charset=utf-8"

    def parts(self, version: DatasetVersion) -> Iterator[str]:
        yield from csv_lines(self._rows(version))

    def _rows(self, version: DatasetVersion) -> Iterator[list[Any]]:
        models = version.response_models
        pictured = ItemAsset.objects.filter(item__version=version).exists()
        images = [IMAGES] if pictured else []
        yield [*COLUMNS, *(f"{RESPONSE}{name}" for name in models), *images, "tags", "metadata"]
        for item in all_items(version):
            cells = [*_cells(item), *(_response(item, name) for name in models)]
            if pictured:
                cells.append(_json([data_url(held.asset) for held in item.item_assets.all()]))
            yield [*cells, "|".join(item.tag_list), _json(item.metadata)]


def _cells(item: Item) -> list[Any]:
    references = item.references
    alone = len(references) == 1 and references[0] and not references[0].startswith("[")
    return [
        item.position,
        _text(item.external_id),
        _text(item.section),
        _text(item.prompt),
        _json(item.messages),
        _json(item.choices),
        _text(references[0]) if alone else _json(references),
    ]


def _text(text: str) -> str:
    """One more quote before one that is there already."""
    return f"'{text}" if text.startswith("'") else text


def _response(item: Item, model: str) -> str:
    """Nothing where none is recorded; a lone quote where an empty one is."""
    text = item.responses.get(model)
    return "" if text is None else _text(text) or "'"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""
