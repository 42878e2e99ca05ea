"""Which items a filter, a check and a subset find."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from datasets import services_drafts as services
from datasets.filters import ItemFilter
from datasets.models import DatasetVersion, Item
from datasets.profile import profile_of
from datasets.selectors import items_of, metadata_names, tags_in
from datasets.subsets import subset_items
from workspaces.access import Access

ROWS: list[dict[str, Any]] = [
    {"external_id": "a", "prompt": "The answer is forty-two, what is it?", "references": ["forty-two"]},
    {
        "external_id": "b",
        "prompt": "1 + 1?",
        "references": ["2"],
        "metadata": {"level": 3, "by": {"who": "ann"}},
    },
    {"external_id": "c", "prompt": "1 + 1?", "section": "again", "metadata": {"level": "3", "by__gt": "x"}},
    {"external_id": "d", "prompt": "Which?", "choices": ["Which", "What"], "references": ["Which"]},
    {
        "external_id": "e",
        "prompt": "Hi",
        "messages": [{"role": "user", "content": "Hi"}],
        "tags": "|hard|odd one|",
    },
]


@pytest.fixture
def version(dataset: Any) -> DatasetVersion:
    made: DatasetVersion = dataset(ROWS)
    return made


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, "abcde"), ({"q": "1 +"}, "bc"), ({"section": "-"}, "abde"), ({"section": "again"}, "c"),
        ({"kind": "choice"}, "d"), ({"kind": "chat"}, "e"), ({"kind": "text"}, "abc"),
        ({"kind": "image"}, ""), ({"kind": "context"}, ""),
        ({"kind": "bogus"}, "abcde"), ({"tag": "Hard"}, "e"), ({"tag": "odd"}, ""), ({"tag": "odd one"}, "e"),
        ({"meta": "level", "value": "3"}, "bc"), ({"meta": "by.who", "value": "ann"}, "b"),
        ({"meta": "by__gt"}, "c"), ({"meta": "level"}, "bc"), ({"meta": "none"}, ""),
        ({"check": "duplicate"}, "bc"), ({"check": "no_reference"}, "ce"), ({"check": "leak"}, "a"),
        ({"check": "duplicate", "section": "again"}, "c"),
    ],
)  # fmt: skip
def test_filters(version: DatasetVersion, params: dict[str, str], found: str) -> None:
    wanted = ItemFilter.of(params)
    assert "".join(item.external_id for item in items_of(version, wanted)) == found
    assert ItemFilter.of(wanted.to_json()) == wanted
    assert bool(wanted.words) == bool(wanted.to_json())


def test_what_a_filter_bar_offers(version: DatasetVersion) -> None:
    assert tags_in(version) == ["hard", "odd one"]
    assert metadata_names(version) == ["by", "by__gt", "level"]


def test_the_card_counts_by_the_database(version: DatasetVersion) -> None:
    profile = profile_of(version)
    assert {key: n for key, _, n in profile.checks} == {"duplicate": 2, "no_reference": 2, "leak": 1}
    assert {key: n for key, _, n in profile.kinds} == {"text": 3, "choice": 1, "chat": 1}
    assert sum(bar.items for bar in profile.bars) == 5
    assert max(bar.share for bar in profile.bars) == 100
    assert profile.most_tokens == 9


def test_a_card_of_few_queries(version: DatasetVersion, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(4):
        profile_of(version)
    with django_assert_num_queries(0):
        profile_of(version)


# Subsets


def positions(rows: Any) -> list[int]:
    return sorted(rows.values_list("position", flat=True))


def test_subsets_are_found_in_each_version(editing: Access, dataset: Any) -> None:
    version = dataset(40)
    parent = version.dataset
    first = services.subset_create(editing, parent, name="First", wanted=ItemFilter(section="odd"), size=3)
    assert positions(subset_items(first, version)) == [1, 3, 5]
    every = services.subset_create(editing, parent, name="Odd", wanted=ItemFilter(section="odd"))
    assert len(positions(subset_items(every, version))) == 20
    drawn = services.subset_create(editing, parent, name="Drawn", wanted=ItemFilter(), size=10, seed=7)
    other = services.subset_create(editing, parent, name="Other", wanted=ItemFilter(), size=10, seed=8)
    sample = positions(subset_items(drawn, version))
    assert len(sample) == 10 and sample != list(range(1, 11))
    assert sample != positions(subset_items(other, version))
    again = dataset(40, dataset=parent)
    assert positions(subset_items(drawn, again)) == sample
    Item.objects.filter(version=again, position=sample[0]).delete()
    kept = set(positions(subset_items(drawn, again)))
    assert set(sample[1:]) <= kept and len(kept) == 10


@pytest.mark.parametrize(
    "values",
    [{"name": " "}, {"size": 0}, {"seed": 1}, {}, {"size": 5, "seed": -1}, {"name": "x" * 121, "size": 1}],
)
def test_bad_subsets_are_refused(editing: Access, version: DatasetVersion, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        services.subset_create(editing, version.dataset, **({"name": "S", "wanted": ItemFilter()} | values))


def test_a_name_is_taken_once(editing: Access, version: DatasetVersion) -> None:
    services.subset_create(editing, version.dataset, name="S", wanted=ItemFilter(), size=1)
    with pytest.raises(ValidationError, match="Another subset"):
        services.subset_create(editing, version.dataset, name=" S ", wanted=ItemFilter(), size=1)
