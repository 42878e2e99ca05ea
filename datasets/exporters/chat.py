"""Conversations to fine-tune on, as JSON Lines: what was asked, and the first reference as the answer.

With its item beside each conversation a line loses nothing: imported again, it has the same content hash.
Trainers pass over that key; a provider that refuses keys it does not know gets the messages alone.
"""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from datasets.drafts import chat_of
from datasets.exporters.jsonl import data_url, plain_items
from datasets.models import Asset, DatasetVersion, Item
from datasets.selectors import all_items


class ChatExport:
    """Every item; one without a reference ends with its question."""

    title: ClassVar[str] = "Chat JSONL with items"
    content_type: ClassVar[str] = "application/x-ndjson"

    def parts(self, version: DatasetVersion) -> Iterator[str]:
        for item, fields in plain_items(version, _no_image):
            fields.pop("images", None)  # the messages hold them; twice, a line could be too long to read
            yield json.dumps(conversation(item) | {"item": fields}, ensure_ascii=False) + "\n"


class MessagesExport:
    """What a conversation cannot hold stays behind, and items without a reference are left out."""

    title: ClassVar[str] = "Chat JSONL, messages only"
    content_type: ClassVar[str] = "application/x-ndjson"

    def parts(self, version: DatasetVersion) -> Iterator[str]:
        for item in all_items(version):
            if item.references:
                yield json.dumps(conversation(item), ensure_ascii=False) + "\n"


def conversation(item: Item) -> dict[str, Any]:
    """`{"messages": [{"role", "content"}, …]}`; images as data URLs in the last message of the user."""
    messages: list[dict[str, Any]] = [*chat_of(item)]
    images = [held.asset for held in item.item_assets.all()]
    if images:
        last = next(message for message in reversed(messages) if message["role"] == "user")
        parts = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in images]
        last["content"] = [{"type": "text", "text": last["content"]}, *parts]
    return {"messages": messages}


def _no_image(asset: Asset) -> None:
    """Not read from disk."""
