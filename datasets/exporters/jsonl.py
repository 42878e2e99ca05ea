"""Items as JSON Lines, lossless: imported again with the guessed mapping, they have the same content hash."""

import base64
import json
from collections.abc import Iterator
from typing import Any, ClassVar

from datasets.assets import asset_bytes
from datasets.models import Asset, DatasetVersion, Item
from datasets.selectors import all_items


class JsonlExport:
    content_type: ClassVar[str] = "application/x-ndjson"

    def parts(self, version: DatasetVersion) -> Iterator[str]:
        for item in all_items(version):
            yield json.dumps(plain_item(item), ensure_ascii=False) + "\n"


def plain_item(item: Item) -> dict[str, Any]:
    """The fields that hold something, images as data URLs. Reads the images from disk."""
    fields: dict[str, Any] = {
        "id": item.external_id,
        "section": item.section,
        "messages": item.messages,
        "prompt": "" if item.messages else item.prompt,
        "choices": item.choices,
        "references": item.references,
        "responses": item.responses,
        "metadata": item.metadata,
        "images": [data_url(held.asset) for held in item.item_assets.all()],
    }
    return {name: value for name, value in fields.items() if value}


def data_url(asset: Asset) -> str:
    return f"data:{asset.media_type};base64,{base64.b64encode(asset_bytes(asset)).decode()}"
