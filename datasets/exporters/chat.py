"""Conversations as providers fine-tune on: what was asked, and the first reference as the answer.

Images go along as data URLs. What a conversation cannot hold (choices, sections, tags, metadata,
further references) stays behind, and items without a reference are left out.
"""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from datasets.exporters.jsonl import data_url
from datasets.models import DatasetVersion, Item
from datasets.selectors import all_items


class ChatExport:
    title: ClassVar[str] = "Chat JSONL for fine-tuning"
    content_type: ClassVar[str] = "application/x-ndjson"

    def parts(self, version: DatasetVersion) -> Iterator[str]:
        for item in all_items(version):
            if item.references:
                yield json.dumps(conversation(item), ensure_ascii=False) + "\n"


def conversation(item: Item) -> dict[str, Any]:
    """`{"messages": [{"role", "content"}, …]}`, the last of the assistant."""
    asked = [dict(message) for message in item.messages or [{"role": "user", "content": item.prompt}]]
    images = [held.asset for held in item.item_assets.all()]
    if images:
        last = next(message for message in reversed(asked) if message["role"] == "user")
        parts = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in images]
        last["content"] = [{"type": "text", "text": last["content"]}, *parts]
    return {"messages": [*asked, {"role": "assistant", "content": item.references[0]}]}
