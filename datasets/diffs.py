"""What two versions of a dataset do not share, by the keys of their items; changed text word by word."""

import difflib
import json
import re
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from datasets.models import DatasetVersion, Item

KINDS = ("changed", "added", "removed")
WORDS_COMPARED = 3000  # longer texts are shown whole: comparing costs the product of the lengths
FIELDS = {
    "prompt": "Prompt", "messages": "Chat", "choices": "Choices", "references": "Reference",
    "section": "Section", "tags": "Tags", "responses": "Recorded responses", "rubric": "Rubric",
    "weight_text": "Weight", "passages": "Context", "pair_names": "Pair",
    "plain_metadata": "Metadata", "external_id": "Id",
}  # fmt: skip


def different(before: DatasetVersion, after: DatasetVersion, kind: str) -> QuerySet[Item]:
    """Changed and added items as they are after, removed ones as they were before; by position."""
    old, new = Item.objects.filter(version=before), Item.objects.filter(version=after)
    same_old = old.order_by().filter(key=OuterRef("key"))
    if kind == "removed":
        return old.filter(~Exists(new.order_by().filter(key=OuterRef("key")))).order_by("position")
    if kind == "added":
        return new.filter(~Exists(same_old)).order_by("position")
    return new.filter(Exists(same_old.exclude(digest=OuterRef("digest")))).order_by("position")


def difference_counts(before: DatasetVersion, after: DatasetVersion, items_after: int) -> dict[str, int]:
    """How many items were changed, added, removed and left as they were. Two scans of indexes."""
    added = different(before, after, "added").count()
    changed = different(before, after, "changed").count()
    kept = items_after - added
    return {
        "changed": changed, "added": added, "removed": before.item_count - kept, "same": kept - changed,
    }  # fmt: skip


Segment = tuple[str, str]
"""("same" | "del" | "ins", text)"""


@dataclass(frozen=True)
class FieldChange:
    """A field before and after: pieces of text, of which the deleted stand left and the inserted right."""

    label: str
    before: list[Segment]
    after: list[Segment]


def item_changes(before: Item, after: Item) -> list[FieldChange]:
    """The fields in which two items differ. Unescaped text."""
    found = []
    for name, label in FIELDS.items():
        left, right = (field_text(getattr(item, name)) for item in (before, after))
        if left != right:
            found.append(FieldChange(label, *word_diff(left, right)))
    return found


def field_changes(item: Item, *, added: bool) -> list[FieldChange]:
    """All filled fields of an item that is only on one side."""
    found = []
    for name, label in FIELDS.items():
        text = field_text(getattr(item, name))
        if text:
            piece: list[Segment] = [("ins" if added else "del", text)]
            found.append(FieldChange(label, [] if added else piece, piece if added else []))
    return found


def field_text(value: Any) -> str:
    """A field as people read it: lists one a line, the rest as JSON."""
    if isinstance(value, str):
        return value.strip("|").replace("|", ", ") if value.startswith("|") and value.endswith("|") else value
    if not value:
        return ""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    if isinstance(value, list) and all(isinstance(each, dict) and "role" in each for each in value):
        return "\n\n".join(f"{each['role']}: {each['content']}" for each in value)
    return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)


def word_diff(before: str, after: str) -> tuple[list[Segment], list[Segment]]:
    """Both texts in pieces, compared by words; long texts as one deletion and one insertion."""
    old, new = (re.findall(r"\w+|\s+|[^\w\s]", text) for text in (before, after))
    if len(old) > WORDS_COMPARED or len(new) > WORDS_COMPARED:
        return [("del", before)] if before else [], [("ins", after)] if after else []
    left: list[Segment] = []
    right: list[Segment] = []
    for kind, i, j, m, n in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for side, words, mark in ((left, old[i:j], "del"), (right, new[m:n], "ins")):
            if words:
                side.append(("same" if kind == "equal" else mark, "".join(words)))
    return left, right


def counterparts(items: list[Item], other: DatasetVersion) -> dict[str, Item]:
    """The same items in another version by key; one query."""
    found = Item.objects.filter(version=other, key__in=[item.key for item in items])
    return {item.key: item for item in found}
