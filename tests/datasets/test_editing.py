"""Drafts: a copy of a version, changed by statements, published as the next one or discarded."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from datasets import services_drafts as services
from datasets.diffs import difference_counts, different, item_changes, word_diff
from datasets.drafts import digest_of
from datasets.editing import clean_values, tags_text
from datasets.filters import ItemFilter
from datasets.models import Asset, Dataset, DatasetVersion, Draft, DraftState, Item, ItemAsset
from datasets.publishing import images_of
from datasets.removal import abandoned_remove
from datasets.services import InUse, dataset_delete, version_delete
from tests.datasets.conftest import Import
from tests.datasets.files import QUESTIONS, data_url, png
from workspaces.access import Access
from workspaces.services import Refused


@pytest.fixture
def version(dataset: Any) -> DatasetVersion:
    made: DatasetVersion = dataset(20)
    return made


@pytest.fixture
def draft(editing: Access, version: DatasetVersion) -> Draft:
    return services.draft_start(editing, version)


def prompts(version: DatasetVersion) -> list[str]:
    return list(version.items.order_by("position").values_list("prompt", flat=True))


def test_a_draft_is_a_hidden_copy_with_images(editing: Access, imported: Import) -> None:
    rows = [
        *QUESTIONS,
        {"id": "q4", "question": "What is this?", "image": [data_url(png()), data_url(png(2, 2))]},
    ]
    version = imported(rows).version
    draft = services.draft_start(editing, version)
    assert (draft.state, draft.version.ready_at) == (DraftState.OPEN, None)
    columns = [field.name for field in Item._meta.concrete_fields if field.name not in ("id", "version")]
    copied, original = (
        list(each.items.order_by("position").values(*columns)) for each in (draft.version, version)
    )
    assert copied == original
    pictured = draft.version.items.get(external_id="q4")
    assert list(images_of([pictured]).values()) == list(
        images_of([version.items.get(external_id="q4")]).values()
    )
    assert services.draft_start(editing, version) == draft


def test_a_draft_becomes_the_next_frozen_version(
    editing: Access, version: DatasetVersion, draft: Draft
) -> None:
    before = list(version.items.order_by("position").values())
    services.draft_edit(editing, draft, 3, {"prompt": "New?", "references": ["9"], "tags": ["Hard", "b"]})
    services.draft_bulk(editing, draft, "drop", positions=[1, 2])
    services.draft_bulk(editing, draft, "section", "prime", wanted=ItemFilter(section="odd"))
    services.draft_bulk(editing, draft, "tag", "seen", wanted=ItemFilter(q="New"))
    made = services.draft_publish(editing, draft, " Fix  three ")
    assert made is not None and made.ready_at
    assert (made.number, made.item_count, made.note) == (2, 18, "Fix three")
    assert made.origin == {"kind": "edit", "version": 1}
    assert made.sections == [{"name": "prime", "items": 9}, {"name": "even", "items": 9}]
    assert list(made.items.order_by("position").values_list("position", flat=True)) == list(range(1, 19))
    first = made.items.get(position=1)
    assert (first.prompt, first.references, first.tag_list) == ("New?", ["9"], ["b", "hard", "seen"])
    assert all(item.digest == digest_of(item, []) for item in made.items.all())
    assert len(made.content_hash) == 64 and made.content_hash != version.content_hash
    assert list(version.items.order_by("position").values()) == before
    assert not Draft.objects.exists()


def test_a_draft_that_changes_nothing_is_refused_and_stays(editing: Access, imported: Import) -> None:
    version = imported(QUESTIONS).version
    draft = services.draft_start(editing, version)
    services.draft_bulk(editing, draft, "tag", "x", positions=[1])
    services.draft_bulk(editing, draft, "untag", "x", positions=[1])
    assert services.draft_publish(editing, draft) is None
    draft.refresh_from_db()
    assert draft.state == DraftState.OPEN
    assert draft.problem.startswith("Nothing differs from version 1")
    services.draft_bulk(editing, draft, "drop", positions=[1, 2, 3])
    with pytest.raises(Refused, match="Every item is dropped"):
        services.draft_publish(editing, draft)


def test_a_file_with_the_edited_content_is_the_same_version(editing: Access, imported: Import) -> None:
    rows = [{"id": row["id"], "question": row["question"], "answer": row["answer"]} for row in QUESTIONS]
    draft = services.draft_start(editing, imported(rows).version)
    services.draft_edit(editing, draft, 2, {"references": ["four"]})
    made = services.draft_publish(editing, draft)
    rows[1]["answer"] = "four"
    assert imported(rows).version == made


def test_dropped_and_changed_items_are_restored(editing: Access, imported: Import) -> None:
    version = imported([*QUESTIONS, {"id": "q4", "question": "Seen?", "image": data_url(png())}]).version
    draft = services.draft_start(editing, version)
    services.draft_bulk(editing, draft, "drop", positions=[4])
    services.draft_edit(editing, draft, 1, {"prompt": "?"})
    keys = list(version.items.filter(position__in=[1, 4]).values_list("key", flat=True))
    assert services.draft_restore(editing, draft, keys) == 2
    assert difference_counts(version, draft.version, 4) == {"changed": 0, "added": 0, "removed": 0, "same": 4}
    assert ItemAsset.objects.filter(item__version=draft.version).count() == 1


def test_a_draft_is_discarded_with_its_copies(editing: Access, draft: Draft, version: DatasetVersion) -> None:
    services.draft_discard(editing, draft)
    assert [*DatasetVersion.objects.all()] == [version]
    assert Item.objects.count() == 20


def test_a_draft_is_no_leftover_of_an_import(draft: Draft) -> None:
    DatasetVersion.objects.update(created_at="2020-01-01T00:00:00Z")
    abandoned_remove()
    assert Item.objects.filter(version=draft.version_id).count() == 20


def test_its_base_cannot_be_deleted_but_the_dataset_can(
    editing: Access, draft: Draft, version: DatasetVersion
) -> None:
    with pytest.raises(InUse, match="1 draft"):
        version_delete(editing, version)
    dataset_delete(editing, version.dataset)
    assert not Dataset.objects.exists() and not Asset.objects.exists()


def test_nothing_changes_while_it_is_published(editing: Access, draft: Draft) -> None:
    Draft.objects.update(state=DraftState.PUBLISHING)
    for change in (
        lambda: services.draft_edit(editing, draft, 1, {"prompt": "?"}),
        lambda: services.draft_publish(editing, draft),
        lambda: services.draft_discard(editing, draft),
    ):
        with pytest.raises(services.DraftBusy):
            change()


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": " "}, {"prompt": 3}, {"prompt": "a\0"}, {"section": "x" * 121}, {"choices": ["one"]},
        {"references": "two"}, {"references": [1]}, {"tags": ["a|b"]}, {"tags": ["x" * 61]}, {"position": 4},
    ],
)  # fmt: skip
def test_bad_values_are_refused_by_field(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        clean_values(values)
    assert list(refused.value.message_dict) == list(values)


def test_bulk_actions_are_checked(editing: Access, draft: Draft) -> None:
    for action, value in (("tag", " "), ("tag", "a|b"), ("shout", "x"), ("section", "x" * 121)):
        with pytest.raises(ValidationError):
            services.draft_bulk(editing, draft, action, value, positions=[1])


def test_tags_are_lower_case_and_sorted() -> None:
    assert tags_text([" To  check", "hard", "HARD", ""]) == "|hard|to check|"
    assert tags_text([]) == ""


def test_editing_the_question_of_a_chat_changes_its_last_user_message(
    editing: Access, imported: Import
) -> None:
    chat = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    draft = services.draft_start(
        editing, imported([{"messages": [*chat, {"role": "user", "content": "c"}]}]).version
    )
    services.draft_edit(editing, draft, 1, {"prompt": "d"})
    item = draft.version.items.get()
    assert [message["content"] for message in item.messages] == ["s", "a", "b", "d"]


# Differences


def test_versions_from_files_differ_by_id_or_by_what_is_asked(imported: Import) -> None:
    before = imported([{"id": "a", "q": "1?"}, {"id": "b", "q": "2?"}, {"id": "c", "q": "3?"}]).version
    after = imported([{"id": "b", "q": "two?"}, {"id": "c", "q": "3?"}, {"id": "d", "q": "4?"}]).version
    found = {
        kind: [item.external_id for item in different(before, after, kind)]
        for kind in ("changed", "added", "removed")
    }
    assert found == {"changed": ["b"], "added": ["d"], "removed": ["a"]}
    before = imported([{"q": "same"}, {"q": "same"}, {"q": "x"}], dataset_name="No ids").version
    after = imported([{"q": "same"}, {"q": "y"}, {"q": "same"}, {"q": "same"}], dataset_name="No ids").version
    assert difference_counts(before, after, 4) == {"changed": 0, "added": 2, "removed": 1, "same": 2}


def test_texts_are_compared_by_words() -> None:
    before, after = word_diff("the old <b>cat</b> sat", "the new <b>cat</b> sat down")
    assert [mark for mark, _ in before] == ["same", "del", "same"]
    assert ("ins", "new") in after and ("ins", " down") in after
    assert "".join(text for _, text in after) == "the new <b>cat</b> sat down"
    long = "word " * 4000
    assert word_diff(long, "x") == ([("del", long)], [("ins", "x")])


def test_only_fields_that_differ_are_shown() -> None:
    before = Item(prompt="p", references=["a"], tags="|x|", metadata={"n": 1})
    after = Item(prompt="p", references=["a", "b"], tags="", metadata={"n": 1})
    assert [change.label for change in item_changes(before, after)] == ["Reference", "Tags"]
