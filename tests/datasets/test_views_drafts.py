"""The pages of drafts, differences, subsets and the card."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from datasets.models import DatasetVersion, Draft, DraftState, Subset
from workspaces.models import User

Clients = Callable[[User], Client]


@pytest.fixture
def version(dataset: Any) -> DatasetVersion:
    made: DatasetVersion = dataset(60)
    return made


@pytest.fixture
def client(client_of: Clients, editor: User) -> Client:
    return client_of(editor)


@pytest.fixture
def url(version: DatasetVersion) -> str:
    return f"/w/alpha/datasets/{version.dataset_id}/"


def test_from_a_version_over_a_draft_to_the_next(client: Client, url: str, version: DatasetVersion) -> None:
    begun = client.post(f"{url}edit/", {"version": 1, "item": 3})
    assert begun["Location"] == f"{url}draft/?item=3"
    page = client.get(begun["Location"]).content.decode()
    assert 'action="' + f"{url}draft/items/3/?item=3" in page
    assert "What is 3 + 3?" in page
    saved = client.post(
        f"{url}draft/items/3/?q=3&item=3",
        {
            "prompt": "<b>New</b>\r\nline",
            "references": ["7\r\n", " ", "seven"],
            "section": "s",
            "tags": "A, b,",
        },
    )
    assert saved["Location"] == f"{url}draft/?q=3&item=3"
    item = Draft.objects.get().version.items.get(position=3)
    assert (item.prompt, item.references, item.section, item.tag_list) == (
        "<b>New</b>\nline", ["7\n", "seven"], "s", ["a", "b"],
    )  # fmt: skip
    client.post(f"{url}draft/bulk/?section=even", {"scope": "all", "action": "tag", "value": "two"})
    client.post(f"{url}draft/bulk/", {"position": [1, 5], "action": "drop"})
    diff = client.get(f"{url}diff/?to=draft").content.decode()
    assert "<b>31</b> changed" in diff and "<b>2</b> removed" in diff
    assert "&lt;" in diff and "<b>New" not in diff
    key = version.items.get(position=1).key
    client.post(f"{url}draft/restore/?to=draft&show=removed", {"item_key": key})
    assert "31 items changed, 1 dropped" in client.get(f"{url}draft/publish/").content.decode()
    done = client.post(f"{url}draft/publish/", {"note": "Mended"})
    assert done["Location"] == url
    page = client.get(url).content.decode()
    assert "Mended" in page and "What changed" in page
    assert DatasetVersion.objects.get(number=2).item_count == 59
    shown = client.get(f"{url}diff/?show=removed").content.decode()
    assert "What is 5 + 5?" in shown and "version 1 to 2" in shown


def test_what_a_form_cannot_mean_is_said(client: Client, url: str) -> None:
    client.post(f"{url}edit/")
    for path, body, words in (
        ("draft/items/1/", {"prompt": " "}, "The prompt is empty"),
        ("draft/items/99/", {"prompt": "x"}, "no item 99"),
        ("draft/bulk/", {"action": "drop"}, "Choose items first"),
        ("draft/bulk/", {"action": "tag", "position": 1}, "Say which tag"),
    ):
        assert words in client.post(url + path, body, follow=True).content.decode(), path


def test_a_draft_is_discarded_after_asking(client: Client, url: str) -> None:
    client.post(f"{url}edit/")
    assert (
        "Keep the draft"
        in client.get(f"{url}draft/discard/", headers={"HX-Request": "true"}).content.decode()
    )
    assert client.post(f"{url}draft/discard/")["Location"] == url
    assert not Draft.objects.exists()
    assert client.get(f"{url}draft/")["Location"] == url
    assert client.get(f"{url}draft/", headers={"HX-Request": "true"})["HX-Redirect"] == url


def test_a_large_draft_says_that_a_worker_is_at_it(client: Client, url: str) -> None:
    client.post(f"{url}edit/")
    for state, words in ((DraftState.COPYING, "Copying version 1"), (DraftState.PUBLISHING, "next version")):
        Draft.objects.update(state=state)
        assert words in client.get(f"{url}draft/").content.decode()


def test_viewers_see_differences_and_no_drafts(
    client: Client, url: str, viewer: User, client_of: Clients
) -> None:
    client.post(f"{url}edit/")
    reader = client_of(viewer)
    assert "Nothing to compare with" in reader.get(f"{url}diff/").content.decode()
    assert reader.get(f"{url}diff/?to=draft").status_code == 404
    assert "Open draft" not in reader.get(url).content.decode()
    assert reader.get(f"{url}diff/?from=9").status_code == 404


def test_pages_cost_the_same_for_few_and_many_items(
    client: Client, dataset: Any, django_assert_max_num_queries: Any
) -> None:
    for size in (3, 300):
        version = dataset(size)
        url = f"/w/alpha/datasets/{version.dataset_id}/"
        client.post(f"{url}edit/")
        client.post(f"{url}draft/bulk/", {"scope": "all", "action": "tag", "value": "x"})
        for path, most in (("draft/?item=1", 20), ("diff/?to=draft", 14), ("card/", 17), ("subsets/", 12)):
            client.get(url + path)
            with django_assert_max_num_queries(most):
                assert client.get(url + path).status_code == 200


def test_differences_are_paged(client: Client, url: str) -> None:
    client.post(f"{url}edit/")
    client.post(f"{url}draft/bulk/", {"scope": "all", "action": "tag", "value": "x"})
    first = client.get(f"{url}diff/?to=draft").context
    assert [row.item.position for row in first["rows"]] == list(range(1, 21))
    last = client.get(f"{url}diff/?to=draft&after=40").context
    assert [row.item.position for row in last["rows"]] == list(range(41, 61))
    assert last["page"].older is None


def test_subsets_are_saved_from_the_filter(client: Client, url: str) -> None:
    page = client.get(f"{url}subsets/?section=odd").content.decode()
    assert "<b>30</b> in version 1" in page
    refused = client.post(f"{url}subsets/?section=odd", {"name": "", "size": "x"})
    assert refused.status_code == 422
    client.post(f"{url}subsets/?section=odd", {"name": "Odd ones", "size": "5", "seed": "1"})
    subset = Subset.objects.get()
    assert (subset.filter, subset.size, subset.seed) == ({"section": "odd"}, 5, 1)
    shown = client.get(f"{url}?subset={subset.pk}")
    assert len(shown.context["items"].rows) == 5
    assert "5 at random, seed 1" in shown.content.decode()
    client.post(f"{url}subsets/{subset.pk}/delete/")
    assert not Subset.objects.exists()


def test_the_card_says_what_is_known(client: Client, url: str) -> None:
    assert "not said" in client.get(f"{url}card/").content.decode()
    card = {"name": "Numbers", "licence": "MIT", "source": "https://example.org/<x>", "language": "en"}
    client.post(f"{url}rename/", card)
    page = client.get(f"{url}card/").content.decode()
    assert "MIT" in page and "<x>" not in page and "check=duplicate" not in page
    assert "120 characters" in client.post(f"{url}rename/", card | {"licence": "x" * 121}).content.decode()
