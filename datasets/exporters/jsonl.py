"""Items as JSON Lines, lossless: imported again with the guessed mapping, they have the same content hash."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from datasets.assets import asset_bytes
from datasets.models import Asset, DatasetVersion, Item
from datasets.selectors import all_items

ImageOf = Callable[[Asset], Any]


def data_url(asset: Asset) -> str:
    """Reads the image from disk."""
    return f"data:{asset.media_type};base64,{base64.b64encode(asset_bytes(asset)).decode()}"


class JsonlExport:
    title: ClassVar[str] = "JSONL"
    content_type: ClassVar[str] = "application/x-ndjson"

    def parts(self, version: DatasetVersion) -> Iterator[str]:
        yield from json_lines(version, data_url)


def json_lines(version: DatasetVersion, image_of: ImageOf) -> Iterator[str]:
    """The first line names every model with responses, so that a reader of the beginning knows them all."""
    models: Sequence[str] = version.response_models
    for item in all_items(version):
        yield json.dumps(plain_item(item, image_of, models), ensure_ascii=False) + "\n"
        models = ()


def plain_item(item: Item, image_of: ImageOf = data_url, models: Sequence[str] = ()) -> dict[str, Any]:
    """The fields that hold something; of `models` also what was not recorded, as null.

    A chat tells even that it has no references, or its last answer would be taken for one.
    """
    fields: dict[str, Any] = {
        "id": item.external_id,
        "section": item.section,
        "messages": item.messages,
        "prompt": "" if item.messages else item.prompt,
        "choices": item.choices,
        "references": item.references,
        "responses": {name: item.responses.get(name) for name in models} | item.responses,
        "tags": item.tag_list,
        "metadata": item.metadata,
        "images": [image_of(held.asset) for held in item.item_assets.all()],
    }
    kept = {name: value for name, value in fields.items() if value}
    return {"references": [], **kept} if item.messages else kept
