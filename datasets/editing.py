"""Editing in the portal: a draft is a copy of a version that is changed in place and then published.

Changes to many items are single statements. A changed item loses its digest unless it is changed
alone; publishing pays the debt.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Case, F, Max, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Concat, Replace
from django.utils import timezone

from datasets.copying import items_copy
from datasets.drafts import MAX_LIST, MAX_SECTION, MAX_TEXT, digest_of, rubric_of, weight_of
from datasets.models import Dataset, DatasetVersion, Draft, DraftState, Item, ItemAsset
from datasets.removal import version_remove
from workspaces import audit
from workspaces.access import Access
from workspaces.services import Refused

MAX_TAG = 60
MAX_TAGS = 20
STUCK_AFTER = timedelta(minutes=2)


class DraftBusy(Refused):
    """The draft is being copied or published just now."""


def draft_begin(access: Access, version: DatasetVersion) -> Draft:
    """The dataset's draft, new from this version unless there is one; `draft_fill` brings its items."""
    with transaction.atomic():
        dataset = Dataset.objects.select_for_update().get(pk=version.dataset_id)
        drafts = Draft.objects.select_related("dataset", "base", "version")
        draft = drafts.filter(dataset=dataset).first()
        if draft:
            return draft
        latest = dataset.versions.aggregate(latest=Max("number"))["latest"] or 0
        hidden = DatasetVersion.objects.create(
            dataset=dataset, number=latest + 1, upload_type=version.upload_type, mapping=version.mapping,
            response_models=version.response_models, source_name=version.source_name,
            origin={"kind": "edit", "version": version.number}, created_by=access.actor,
        )  # fmt: skip
        audit.record(access, "draft.begin", f"{dataset.name} v{version.number}")
        made = Draft.objects.create(dataset=dataset, base=version, version=hidden, created_by=access.actor)
        return drafts.get(pk=made.pk)


def draft_fill(draft: Draft) -> None:
    """Copies the base's items and opens the draft. Goes on where an earlier call was cut off."""
    items_copy(Item.objects.filter(version=draft.base_id), draft.version)
    now = timezone.now()
    Draft.objects.filter(pk=draft.pk, state=DraftState.COPYING).update(state=DraftState.OPEN, changed_at=now)


def draft_discard(access: Access, draft: Draft) -> None:
    """Forgets all its changes. Raises DraftBusy while it is being published."""
    with transaction.atomic():
        held = Draft.objects.select_for_update().select_related("version", "dataset").get(pk=draft.pk)
        if held.state == DraftState.PUBLISHING and held.changed_at > timezone.now() - STUCK_AFTER:
            raise DraftBusy("It is becoming a version just now.")
        audit.record(access, "draft.discard", held.dataset.name, base=draft.base_id)
        held.delete()
    version_remove(held.version)


def draft_change(access: Access, draft: Draft, change: Callable[[QuerySet[Item]], int]) -> int:
    """Runs a change over the draft's items in one transaction; returns how many changed. Raises DraftBusy."""
    with transaction.atomic():
        held = Draft.objects.select_for_update().get(pk=draft.pk)
        if held.state != DraftState.OPEN:
            raise DraftBusy("The draft is being copied or published; try again in a moment.")
        changed = change(Item.objects.filter(version=held.version_id))
        held.changed_at = timezone.now()
        held.save(update_fields=["changed_at"])
    return changed


# One item


TEXTS = {"prompt": MAX_TEXT, "section": MAX_SECTION, "rubric": MAX_TEXT}
IN_METADATA = ("rubric", "weight")
LISTS = ("references", "choices", "tags")


def clean_values(values: Mapping[str, Any], *, chat: bool = False) -> dict[str, Any]:
    """New values of an item, checked. Raises ValidationError by field."""
    problems, cleaned = {}, {}
    for name, value in values.items():
        try:
            cleaned[name] = _clean_value(name, value, chat=chat)
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        raise ValidationError(problems)
    return cleaned


def _clean_value(name: str, value: Any, *, chat: bool) -> Any:
    if name in TEXTS:
        if not isinstance(value, str) or "\0" in value or len(value) > TEXTS[name]:
            raise ValueError(f"Text of at most {TEXTS[name]:,} characters.")
        if name == "prompt" and not value.strip():
            raise ValueError("The prompt is empty.")
        return value.strip() if name == "section" else rubric_of(value) if name == "rubric" else value
    if name == "weight":
        return value if value in (None, "") else weight_of(value)
    if name not in LISTS:
        raise ValueError(f"Only {', '.join([*TEXTS, *LISTS, 'weight'])} can be changed.")
    if not isinstance(value, list) or len(value) > MAX_LIST or any("\0" in str(each) for each in value):
        raise ValueError(f"A list of at most {MAX_LIST} texts.")
    if not all(isinstance(each, str) and len(each) <= MAX_TEXT for each in value):
        raise ValueError(f"Each is a text of at most {MAX_TEXT:,} characters.")
    if name == "tags":
        return tags_text(value)
    if name == "choices" and len(value) == 1:
        raise ValueError("Give at least two choices, or none.")
    return value


def tags_text(tags: list[str]) -> str:
    """As an item keeps them: |a|b|, sorted. Raises ValueError."""
    cleaned = sorted({tag for tag in map(clean_tag, tags) if tag})
    if len(cleaned) > MAX_TAGS:
        raise ValueError(f"At most {MAX_TAGS} tags.")
    return f"|{'|'.join(cleaned)}|" if cleaned else ""


def clean_tag(tag: str) -> str:
    """Lower case, in one line. Raises ValueError."""
    tag = " ".join(tag.lower().split())
    if len(tag) > MAX_TAG or "|" in tag or "\0" in tag:
        raise ValueError(f"A tag has at most {MAX_TAG} characters and no bar.")
    return tag


def item_edit(items: QuerySet[Item], position: int, values: Mapping[str, Any]) -> int:
    """Gives one item cleaned values. Raises ValidationError where there is none."""
    item = items.filter(position=position).prefetch_related("item_assets__asset").first()
    if item is None:
        raise ValidationError({"position": f"There is no item {position} in this draft."})
    for name in values.keys() - set(IN_METADATA):
        setattr(item, name, values[name])
    changed = [name for name in values if name not in IN_METADATA]
    if len(changed) < len(values):
        item.metadata = _with_entries(
            item.metadata, {name: values[name] for name in values if name in IN_METADATA}
        )
        changed.append("metadata")
    if "prompt" in values and item.messages:
        item.messages = _with_question(item.messages, values["prompt"])
        changed.append("messages")
    item.digest = digest_of(item, [held.asset.sha256 for held in item.item_assets.all()])
    item.save(update_fields=[*changed, "digest"])
    return 1


def _with_entries(metadata: dict[str, Any], entries: dict[str, Any]) -> dict[str, Any]:
    """The metadata with these; an emptied one goes."""
    kept = {name: value for name, value in metadata.items() if name not in entries}
    return kept | {name: value for name, value in entries.items() if value not in (None, "")}


def _with_question(messages: list[dict[str, str]], prompt: str) -> list[dict[str, str]]:
    """The chat with its last user message, which is the item's prompt, exchanged."""
    last = max(index for index, message in enumerate(messages) if message["role"] == "user")
    return [message | {"content": prompt} if at == last else message for at, message in enumerate(messages)]


# Many items


def items_section(items: QuerySet[Item], section: str) -> int:
    return items.exclude(section=section).update(section=section, digest="")


def items_tag(items: QuerySet[Item], tag: str) -> int:
    tagged = Case(
        When(tags="", then=_text(f"|{tag}|")),
        default=Concat(F("tags"), _text(f"{tag}|")),
        output_field=TextField(),
    )
    return items.exclude(tags__contains=f"|{tag}|").update(tags=tagged, digest="")


def items_untag(items: QuerySet[Item], tag: str) -> int:
    without = Replace("tags", _text(f"|{tag}|"), _text("|"))
    emptied = Case(When(tags=f"|{tag}|", then=_text("")), default=without, output_field=TextField())
    return items.filter(tags__contains=f"|{tag}|").update(tags=emptied, digest="")


def _text(text: str) -> Value:
    return Value(text, output_field=TextField())


def items_drop(items: QuerySet[Item]) -> int:
    """Deletes rows of a draft: no trial points at them, so nothing has to be looked up first."""
    chosen = items.order_by().values("pk")
    ItemAsset.objects.filter(item__in=chosen)._raw_delete(items.db)
    return Item.objects.filter(pk__in=chosen)._raw_delete(items.db)


def items_restore(draft: Draft, keys: list[str]) -> int:
    """Puts items back as they are in the base, at their old place."""
    before = Item.objects.filter(version=draft.base_id, key__in=keys)
    items_drop(Item.objects.filter(version=draft.version_id, key__in=keys))
    rows = list(before.prefetch_related("item_assets"))
    links = [(row.position, link) for row in rows for link in row.item_assets.all()]
    for row in rows:
        row.pk, row.version_id = None, draft.version_id
    Item.objects.bulk_create(rows)
    made = {row.position: row for row in rows}
    for position, link in links:
        link.pk, link.item = None, made[position]
    ItemAsset.objects.bulk_create(link for _, link in links)
    return len(rows)


def places_close(version: DatasetVersion) -> None:
    """Numbers the items of a draft from 1 without gaps, in pieces."""
    items, done, place = Item.objects.filter(version=version), 0, 0
    high = 1_000_000_000
    while (
        bounds := items.filter(position__gt=done, position__lt=high)
        .order_by("position")
        .values_list("position", flat=True)[:20_000]
    ):
        last = bounds[len(bounds) - 1]
        with transaction.atomic(), connection.cursor() as cursor:
            piece = Q(position__gt=done, position__lte=last)
            items.filter(piece).update(position=F("position") + high)
            cursor.execute(
                """
                UPDATE datasets_item SET position = placed.place
                FROM (
                    SELECT id, %s + ROW_NUMBER() OVER (ORDER BY position) AS place
                    FROM datasets_item WHERE version_id = %s AND position > %s
                ) AS placed
                WHERE placed.id = datasets_item.id
                """,
                [place, version.pk, high],
            )
            place += cursor.rowcount
        done = last
