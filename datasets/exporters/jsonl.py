"""Items as JSON Lines, lossless: imported again with the guessed mapping, they have the same content hash."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from datasets.assets import asset_bytes
from datasets.models import Asset, DatasetVersion, Item
from datasets.selectors import all_items

ImageOf = Callable[[Asset], Any]
FIELDS = ("id", "section", "messages", "prompt", "choices", "references", "tags", "metadata", "images")


def data_url(asset: Asset) -> str:
    """Reads the image from disk."""
    return f"data:{asset.media_type};base64,{base64.b64encode(asset_bytes(asset)).decode()}"


class JsonlExport:
    title: ClassVar[str] = "JSONL"
    content_type: ClassVar[str] = "application/x-ndjson"

    def parts(self, version: DatasetVersion) -> Iterator[str]:
        yield from json_lines(version, data_url)


def json_lines(version: DatasetVersion, image_of: ImageOf) -> Iterator[str]:
    for _, fields in plain_items(version, image_of):
        yield json.dumps(fields, ensure_ascii=False) + "\n"


def plain_items(version: DatasetVersion, image_of: ImageOf) -> Iterator[tuple[Item, dict[str, Any]]]:
    """Each item with its fields.

    The first names every field and every model with responses, be it as null, so that a reader of the
    beginning knows them all.
    """
    models: Sequence[str] = version.response_models
    names: Sequence[str] = FIELDS
    for item in all_items(version):
        yield item, dict.fromkeys(names) | plain_item(item, image_of, models)
        models, names = (), ()


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
