"""A comparison to take away and over the API: the same figures as the page."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from datasets.models import Item
from runs.engine.summary import summarise
from runs.models import Run
from workspaces import services
from workspaces.access import access_for
from workspaces.models import User, Workspace

ClientOf = Callable[[User], Client]
EXPORT = "/w/alpha/compare/export/"


def body(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content).decode()


def runs_of(found: list[Run]) -> str:
    return ",".join(str(run.pk) for run in found)


def bearer(user: User, slug: str) -> Client:
    """With a token of the person's own role."""
    held = access_for(user, slug)
    _, secret = services.token_create(held, name="t", role=held.role, expires_at=None)
    return Client(headers={"authorization": f"Bearer {secret}"})


def test_json_and_api_agree(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    answer = client_of(viewer).get(f"{EXPORT}?kind=json&runs={runs_of(three)}")
    assert answer["Content-Disposition"].endswith(f'"comparison-{runs_of(three).replace(",", "-")}.json"')
    found = bearer(viewer, "alpha").get(f"/api/v1/comparisons?runs={runs_of(three)}").json()
    assert body(answer).count("\n") > 50
    assert found["common_items"] == 39 and found["items"] == 40 and found["unit"] == "share"
    assert found["verdict"]["pairs"] == {"both": 18, "fixed": 12, "broken": 1, "neither": 8}
    assert found["verdict"]["figures"].startswith("B − A = +28.2 pts [")
    pair = found["pairs"][0]
    assert (pair["first"], pair["second"]) == (three[0].pk, three[1].pk)
    assert pair["p"] <= pair["p_adjusted"] and pair["low"] < pair["value"] < pair["high"] and pair["shown"]
    assert found["runs"][2]["left_out"]["errored"] == 1
    assert [section["n"] for section in found["sections"]] == [19, 20]


def test_csv_has_a_row_an_item(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    Item.objects.filter(external_id="n2").update(external_id="=1+1")
    text = body(client_of(viewer).get(f"{EXPORT}?kind=csv&runs={runs_of(three)}"))
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == [
        "item",
        "section",
        *(f"{name} #{run.pk} {run.alias}" for name, run in zip("ABC", three, strict=True)),
    ]
    assert len(rows) == 41 and rows[1] == ["n1", "odd", "1", "0", ""] and rows[2][0] == "'=1+1"


def test_it_says_that_weights_are_not_used(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    """On the page, in the report, in both files and by the API; without weights nothing is said."""
    query, said = f"runs={runs_of(three)}", "Items carry weights, but each counts the same here"
    assert said not in client_of(viewer).get(f"/w/alpha/compare/?{query}").content.decode()
    Item.objects.filter(external_id="n2").update(metadata={"weight": 2.5})
    for run in three:
        summarise(run.pk, final=True)
    assert said in client_of(viewer).get(f"/w/alpha/compare/?{query}").content.decode()
    assert said in body(client_of(viewer).get(f"{EXPORT}?kind=html&{query}"))
    found = bearer(viewer, "alpha").get(f"/api/v1/comparisons?{query}").json()
    assert found["item_weights"] == "not used: each item counts the same"
    rows = list(csv.reader(io.StringIO(body(client_of(viewer).get(f"{EXPORT}?kind=csv&{query}")))))
    assert rows[0][2] == "weight" and [row[2] for row in rows[1:4]] == ["1", "2.5", "1"]


def test_the_report_stands_alone(three: list[Run], viewer: User, client_of: ClientOf) -> None:
    text = body(client_of(viewer).get(f"{EXPORT}?kind=html&runs={runs_of(three[:2])}"))
    assert "B − A = +25.0 pts" in text and "Broken items" in text and "What is 1 + 1?" in text
    for foreign in ("<a ", "<script", "<link", "<form", "http://", "https://", 'src="'):
        assert foreign not in text, foreign
    assert "@media print" in text and "--series-a" in text


@pytest.mark.parametrize("query", ["?kind=json", "?kind=exe&runs=1,2", "?runs=1"])
def test_what_cannot_be_exported_is_said(
    query: str, three: list[Run], viewer: User, client_of: ClientOf
) -> None:
    assert client_of(viewer).get(EXPORT + query).status_code == 422


def test_the_api_says_what_is_wrong(three: list[Run], viewer: User, outsider: User, beta: Workspace) -> None:
    client = bearer(viewer, "alpha")
    assert client.get("/api/v1/comparisons").json() == {"saved": []}
    assert client.get(f"/api/v1/comparisons?runs={three[0].pk}").status_code == 400
    assert client.get("/api/v1/comparisons?runs=1,999999").status_code == 404
    assert bearer(outsider, "beta").get(f"/api/v1/comparisons?runs={runs_of(three)}").status_code == 404
