"""Models over the API: scope, filters, pages, no secrets."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from workspaces import services as workspace_services
from workspaces.access import Access
from workspaces.models import Role, User, Workspace

Make = Callable[..., Any]
LIST = "/api/v1/models"


@pytest.fixture
def api(alpha: Workspace, viewer: User) -> Callable[..., Any]:
    """GETs as a token of alpha."""
    access = Access(alpha, Role.VIEWER, user=viewer)
    _, secret = workspace_services.token_create(access, name="t", role=Role.VIEWER, expires_at=None)

    def get(path: str = LIST, **query: Any) -> Any:
        return Client().get(path, query, headers={"Authorization": f"Bearer {secret}"})

    return get


def names(answer: Any) -> list[str]:
    return sorted(row["name"] for row in answer.json()["results"])


def test_list_holds_what_the_workspace_sees_and_no_secret(
    api: Make, model: Make, provider: Make, beta: Workspace
) -> None:
    place = provider(
        api_key="sk-very-secret", headers='{"x-auth": "t0psecret"}', base_url="https://inner.example/v1"
    )
    model(name="own", provider=place)
    model(name="shared", workspace=None, provider=provider(workspace=None))
    model(name="theirs", workspace=beta, provider=provider(workspace=beta))
    answer = api()
    assert names(answer) == ["own", "shared"]
    for hidden in ("sk-very-secret", "t0psecret", "inner.example", "api_key", "headers"):
        assert hidden not in answer.content.decode()


def test_one_model(api: Make, model: Make, provider: Make, beta: Workspace) -> None:
    row = model(alias="Shiny", capabilities=["vision"], input_price="0.150000")
    got = api(f"{LIST}/{row.pk}").json()
    assert got["alias"] == "Shiny" and got["capabilities"] == ["vision"] and got["active"] is True
    assert got["input_price"] == "0.150000" and got["shared"] is False
    assert got["provider"]["name"] == row.provider.name
    assert got["health"] == {
        "status": "unknown",
        "checked_at": None,
        "stale": False,
        "latency_ms": None,
        "detail": "",
    }
    theirs = model(workspace=beta, provider=provider(workspace=beta))
    assert api(f"{LIST}/{theirs.pk}").status_code == 404


def test_filters(api: Make, model: Make) -> None:
    one = model(name="one")
    model(name="two", source="platform")
    model(name="asleep", is_active=False)
    assert names(api(q="ONE")) == ["one"]
    assert names(api(source="platform")) == ["two"]
    assert names(api(provider=one.provider_id)) == ["one"]
    assert names(api(active="true")) == ["one", "two"] and names(api(active="false")) == ["asleep"]
    assert api(source="nonsense").status_code == 400


def test_pages_follow_one_another_at_the_same_cost(api: Make, model: Make) -> None:
    place = model(name="m0").provider
    for number in range(1, 7):
        model(name=f"m{number}", provider=place)
    api()
    costs, found, answer = set(), [], api(limit=3)
    while True:
        found += names(answer)
        link = answer.json()["next"]
        if not link:
            break
        with CaptureQueriesContext(connection) as queries:
            answer = api(link)
        costs.add(len(queries))
    assert sorted(found) == [f"m{number}" for number in range(7)] and len(costs) == 1


def test_nobody_and_outsiders_get_nothing(
    alpha: Workspace, outsider: User, client_of: Make, model: Make
) -> None:
    row = model()
    for path in (LIST, f"{LIST}/{row.pk}"):
        assert Client().get(path).status_code == 401
        assert client_of(outsider).get(path, headers={"X-Workspace": "alpha"}).status_code == 404


def test_nothing_is_written_over_the_api(api: Make, owner: User, client_of: Make, alpha: Workspace) -> None:
    for method in ("post", "put", "patch", "delete"):
        send = getattr(client_of(owner), method)
        assert send(LIST, headers={"X-Workspace": "alpha"}).status_code in (403, 405)
