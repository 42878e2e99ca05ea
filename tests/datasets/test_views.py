"""The pages: who sees them, what they show, what they cost."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from datasets.models import Asset, Dataset, DatasetVersion
from tests.datasets.conftest import Import
from tests.datasets.files import QUESTIONS, data_url, png
from workspaces.models import Role, User

Clients = Callable[[User], Client]
ROWS = [*QUESTIONS, {"id": "q4", "question": "<b>bold?</b>", "image": data_url(png())}]


@pytest.fixture
def version(imported: Import) -> DatasetVersion:
    return imported(ROWS).version


@pytest.fixture
def routes(version: DatasetVersion) -> dict[str, tuple[str, Role]]:
    """Every route about one dataset: its URL and who may GET it."""
    pk = version.dataset_id
    asset = Asset.objects.get()
    wanted: dict[str, tuple[list[Any], Role]] = {
        "list": ([], Role.VIEWER),
        "detail": ([pk], Role.VIEWER),
        "asset": ([asset.sha256], Role.VIEWER),
        "download": ([pk, 1, "jsonl"], Role.VIEWER),
        "upload": ([], Role.EDITOR),
        "name_hint": ([], Role.EDITOR),
        "rename": ([pk], Role.EDITOR),
        "delete": ([pk], Role.EDITOR),
        "version_delete": ([pk, 1], Role.EDITOR),
    }
    return {
        name: (reverse(f"datasets:{name}", args=["alpha", *args]), role)
        for name, (args, role) in wanted.items()
    }


def test_members_see_what_their_role_allows(
    routes: dict[str, tuple[str, Role]], viewer: User, editor: User, client_of: Clients
) -> None:
    for url, role in routes.values():
        assert client_of(viewer).get(url).status_code == (200 if role == Role.VIEWER else 403), url
        assert client_of(editor).get(url).status_code == 200, url


def test_outsiders_and_anonymous_visitors_learn_nothing(
    routes: dict[str, tuple[str, Role]], outsider: User, client_of: Clients, client: Client
) -> None:
    for url, _ in routes.values():
        assert client_of(outsider).get(url).status_code == 404, url
        assert client_of(outsider).post(url).status_code in (404, 405), url
        answer = client.get(url)
        assert (answer.status_code, answer.headers["Location"][:16]) == (302, "/accounts/login/"), url


def test_other_workspaces_objects_are_not_reached_through_ones_own(
    version: DatasetVersion, outsider: User, client_of: Clients
) -> None:
    asset = Asset.objects.get()
    for name, args in (
        ("detail", [version.dataset_id]),
        ("download", [version.dataset_id, 1, "csv"]),
        ("delete", [version.dataset_id]),
        ("version_delete", [version.dataset_id, 1]),
        ("rename", [version.dataset_id]),
        ("asset", [asset.sha256]),
    ):
        assert (
            client_of(outsider).get(reverse(f"datasets:{name}", args=["beta", *args])).status_code == 404
        ), name


def test_empty_list_names_the_next_step(editor: User, viewer: User, client_of: Clients) -> None:
    page = client_of(editor).get("/w/alpha/datasets/").content.decode()
    assert "No datasets yet" in page
    assert "/w/alpha/datasets/upload/" in page
    assert "/w/alpha/datasets/upload/" not in client_of(viewer).get("/w/alpha/datasets/").content.decode()


def test_list_searches_and_pages_by_name(dataset: Any, viewer: User, client_of: Clients) -> None:
    for number in range(60):
        dataset(1, name=f"Set {number:02}")
    client = client_of(viewer)
    first = client.get("/w/alpha/datasets/")
    assert [row.name for row in first.context["datasets"].rows][::49] == ["Set 00", "Set 49"]
    second = client.get("/w/alpha/datasets/", {"after": first.context["datasets"].older})
    assert [row.name for row in second.context["datasets"].rows] == [f"Set {n}" for n in range(50, 60)]
    back = client.get("/w/alpha/datasets/", {"before": second.context["datasets"].newer})
    assert back.context["datasets"].rows[0].name == "Set 00"
    assert [row.name for row in client.get("/w/alpha/datasets/?q=t 07").context["datasets"].rows] == [
        "Set 07"
    ]
    assert "No dataset matches" in client.get("/w/alpha/datasets/?q=zzz").content.decode()


def test_list_costs_the_same_for_one_and_for_many(
    dataset: Any, viewer: User, client_of: Clients, django_assert_max_num_queries: Any
) -> None:
    client = client_of(viewer)
    dataset(2)
    client.get("/w/alpha/datasets/")
    for count in (0, 20):
        for _ in range(count):
            dataset(2)
        with django_assert_max_num_queries(8):
            client.get("/w/alpha/datasets/")


def test_detail_costs_the_same_for_few_and_for_many_items(
    dataset: Any, viewer: User, client_of: Clients, django_assert_max_num_queries: Any
) -> None:
    client = client_of(viewer)
    for size in (2, 400):
        version = dataset(size)
        url = f"/w/alpha/datasets/{version.dataset_id}/"
        client.get(url)
        with django_assert_max_num_queries(14):
            client.get(url)
        with django_assert_max_num_queries(19):
            client.get(url, {"q": "What", "section": "odd", "item": 1})


def test_items_are_paged_by_position(dataset: Any, viewer: User, client_of: Clients) -> None:
    version = dataset(120)
    client, url = client_of(viewer), f"/w/alpha/datasets/{version.dataset_id}/"

    def positions(**params: Any) -> list[int]:
        return [item.position for item in client.get(url, params).context["items"].rows]

    assert positions() == list(range(1, 51))
    assert positions(after=50) == list(range(51, 101))
    assert positions(before=51) == list(range(1, 51))
    assert positions(section="odd")[:3] == [1, 3, 5]
    assert positions(q="What is 77 ") == [77]
    assert positions(q="N77") == [77]
    assert positions(after="x") == list(range(1, 51))
    page = client.get(url, {"q": "nothing of the kind"}).content.decode()
    assert "No item matches" in page


def test_the_drawer_shows_the_item_escaped(version: DatasetVersion, viewer: User, client_of: Clients) -> None:
    url = f"/w/alpha/datasets/{version.dataset_id}/"
    page = client_of(viewer).get(url, {"item": 4}).content.decode()
    assert '<aside class="drawer" id="drawer"' in page
    assert "&lt;b&gt;bold?&lt;/b&gt;" in page
    assert "<b>bold?" not in page
    assert Asset.objects.get().sha256 in page
    fragment = client_of(viewer).get(url, {"item": 1}, headers={"HX-Request": "true", "HX-Target": "drawer"})
    assert fragment.content.decode().lstrip().startswith("<aside")
    assert 'data-step="next"' in fragment.content.decode()
    assert '<div id="drawer" hidden>' in client_of(viewer).get(url, {"item": 99}).content.decode()


def test_versions_are_chosen_in_the_url(imported: Import, viewer: User, client_of: Clients) -> None:
    pk = imported(QUESTIONS).version.dataset_id
    imported(QUESTIONS[:1])
    client = client_of(viewer)
    assert client.get(f"/w/alpha/datasets/{pk}/").context["version"].number == 2
    assert client.get(f"/w/alpha/datasets/{pk}/?version=1").context["version"].number == 1
    for absent in ("3", "x", "0"):
        assert client.get(f"/w/alpha/datasets/{pk}/?version={absent}").status_code == 404


def test_assets_are_served_as_nothing_but_images(
    routes: dict[str, Any], viewer: User, client_of: Clients
) -> None:
    answer = client_of(viewer).get(routes["asset"][0])
    assert b"".join(answer.streaming_content) == png()  # type: ignore[attr-defined]
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Content-Disposition"].startswith("inline")
    list_url = routes["asset"][0].partition("assets/")[0]
    shown = client_of(viewer).get(
        f"{list_url}{Asset.objects.get().item_assets.get().item.version.dataset_id}/"
    )
    assert shown.content.decode().count(f'<img class="thumb" src="{routes["asset"][0]}"') == 1
    Asset.objects.update(media_type="text/html")
    answer = client_of(viewer).get(routes["asset"][0])
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("key", ["jsonl", "csv"])
def test_items_are_downloaded_as_a_stream(
    version: DatasetVersion, viewer: User, client_of: Clients, key: str
) -> None:
    answer = client_of(viewer).get(f"/w/alpha/datasets/{version.dataset_id}/v1/items.{key}")
    assert answer.streaming
    assert answer.headers["Content-Disposition"] == f'attachment; filename="questions-v1.{key}"'
    assert b"1 + 1?" in b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert client_of(viewer).get(f"/w/alpha/datasets/{version.dataset_id}/v1/items.xml").status_code == 404
    head = {"X-Workspace": "alpha"}
    same = client_of(viewer).get(f"/api/v1/versions/{version.pk}/export/{key}", headers=head)
    assert same.headers["Content-Disposition"] == answer.headers["Content-Disposition"]
    assert b"1 + 1?" in b"".join(same.streaming_content)  # type: ignore[attr-defined]


def test_deleting_needs_the_typed_words(version: DatasetVersion, editor: User, client_of: Clients) -> None:
    url, client = f"/w/alpha/datasets/{version.dataset_id}/delete/", client_of(editor)
    assert client.post(url, {"confirm": "delete"}).status_code == 409
    assert Dataset.objects.exists()
    dialog = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert 'data-typed="delete questions"' in dialog
    assert "<html" not in dialog
    answer = client.post(url, {"confirm": " Delete  questions "})
    assert answer.headers["Location"] == "/w/alpha/datasets/"
    assert not Dataset.objects.exists()


def test_deleting_one_version_keeps_the_others(imported: Import, editor: User, client_of: Clients) -> None:
    pk = imported(QUESTIONS).version.dataset_id
    imported(QUESTIONS[:1])
    answer = client_of(editor).post(f"/w/alpha/datasets/{pk}/v2/delete/", {"confirm": "delete Questions v2"})
    assert answer.headers["Location"] == f"/w/alpha/datasets/{pk}/"
    assert [version.number for version in DatasetVersion.objects.all()] == [1]


def test_renaming(version: DatasetVersion, editor: User, client_of: Clients, dataset: Any) -> None:
    dataset(1, name="Taken")
    url, client = f"/w/alpha/datasets/{version.dataset_id}/rename/", client_of(editor)
    assert "another dataset" in client.post(url, {"name": "Taken"}).content.decode()
    assert client.post(url, {"name": "Renamed", "description": "why"}).status_code == 302
    assert Dataset.objects.filter(name="Renamed", description="why").exists()


def test_viewers_change_nothing(version: DatasetVersion, viewer: User, client_of: Clients) -> None:
    pk = version.dataset_id
    for path in ("upload/", f"{pk}/rename/", f"{pk}/delete/", f"{pk}/v1/delete/"):
        assert (
            client_of(viewer).post(f"/w/alpha/datasets/{path}", {"confirm": "delete Questions"}).status_code
            == 403
        )
    assert version.dataset.name == "Questions"
    assert DatasetVersion.objects.filter(pk=version.pk).exists()
