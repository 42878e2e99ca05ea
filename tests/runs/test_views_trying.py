"""Scorers on the launch sheet: in groups, with several lines where they need them, tried on real items."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from datasets.models import DatasetVersion
from judges.scorers import SCORERS
from runs.engine.host import run_to_end
from runs.models import Run
from runs.scorer_forms import GROUPS
from workspaces.models import User

LAUNCH = "/w/alpha/runs/launch/"
TRY = "/w/alpha/runs/launch/try/"
CHAIN = '[{"filter": "after_marker", "marker": "A:"}, {"filter": "last_number"}]'


@pytest.fixture
def client(client_of: Callable[[User], Client], editor: User) -> Client:
    return client_of(editor)


@pytest.fixture
def version(dataset: Callable[..., DatasetVersion]) -> DatasetVersion:
    rows = [
        {"prompt": f"What is {n} + {n}?", "references": [str(2 * n)], "responses": {"old": f"A: {2 * n}"}}
        for n in range(1, 8)
    ]
    return dataset(rows, response_models=["old"], upload_type="query_response")


def asked(version: DatasetVersion, **more: Any) -> dict[str, Any]:
    return {"dataset_version": version.pk, "scorers": ["numeric"], "try_source": "typed"} | more


def test_every_scorer_has_its_group() -> None:
    grouped = [key for keys in GROUPS.values() for key in keys]
    assert sorted(grouped) == sorted(SCORERS)


@pytest.mark.django_db
def test_chosen_scorers_stand_first_and_the_others_in_groups(client: Client, version: DatasetVersion) -> None:
    answer = client.get(f"{LAUNCH}?dataset_version={version.pk}")
    form, html = answer.context["launch_form"], answer.content.decode()
    assert [slot.key for slot in form.chosen_slots] == ["numeric"]
    assert [group.title for group in form.slot_groups] == [title for title in GROUPS if title != "Numbers"]
    assert html.count('name="scorers"') == len(list(SCORERS))
    assert '<textarea id="o-json_schema.schema"' in html


@pytest.mark.django_db
def test_a_chain_of_filters_is_shown_in_words(client: Client, version: DatasetVersion) -> None:
    wish = asked(version, check="1", **{"numeric.extract": CHAIN})
    answer = client.post(LAUNCH, wish)
    chain = next(entry for entry in answer.context["launch_form"].slots[0].inputs if entry.kind == "chain")
    assert chain.steps == ["After a marker: A:", "Last number"]
    assert "<li>After a marker: A:</li>" in answer.content.decode()
    wrong = client.post(LAUNCH, wish | {"numeric.extract": "nothing_such"})
    assert "no filter named" in wrong.content.decode() and wrong.status_code == 422


@pytest.mark.django_db
def test_what_is_typed_is_scored_on_the_first_five_items(client: Client, version: DatasetVersion) -> None:
    wish = asked(version, try_text="Think 3. A: 4", **{"numeric.extract": CHAIN})
    html = client.post(TRY, wish).content.decode()
    assert html.count('class="tried"') == 5 and "What is 6 + 6?" not in html
    assert html.count("Incorrect") == 4 and html.count(">Correct<") == 1
    assert "answer: <b>4</b>" in html and "from the last number of the text after “A:”" in html
    assert not Run.objects.exists()


@pytest.mark.django_db
def test_recorded_responses_are_scored(client: Client, version: DatasetVersion) -> None:
    html = client.post(TRY, asked(version, try_source="recorded:old")).content.decode()
    assert html.count(">Correct<") == 5 and "Incorrect" not in html
    assert "None there" in client.post(TRY, asked(version, try_source="recorded:none")).content.decode()


@pytest.mark.usefixtures("engine")
def test_responses_of_an_earlier_run_are_scored(
    client: Client, version: DatasetVersion, launched: Callable[..., Run], dataset: Any
) -> None:
    run = launched(version=version, responses="recorded", model_ids=[], recorded_names=["old"])
    run_to_end(run.pk)
    assert f'value="run:{run.pk}"' in client.get(f"{LAUNCH}?dataset_version={version.pk}").content.decode()
    wish = asked(version, scorers=["includes"], try_source=f"run:{run.pk}")
    assert client.post(TRY, wish).content.decode().count(">Correct<") == 5
    foreign = client.post(TRY, wish | {"dataset_version": dataset(2).pk}).content.decode()
    assert foreign.count("None there") == 2


@pytest.mark.django_db
def test_what_is_missing_or_wrong_is_said(client: Client, version: DatasetVersion) -> None:
    nothing = client.post(TRY, {}).content.decode()
    assert "Choose a dataset version." in nothing and "Choose at least one scorer." in nothing
    wrong = client.post(TRY, asked(version, **{"numeric.absolute_tolerance": "much"})).content.decode()
    assert "is not a number" in wrong
    odd = client.post(TRY, asked(version, try_source="run:9999999999999999999")).content.decode()
    assert "None there" in odd or "Incorrect" in odd


@pytest.mark.django_db
def test_others_may_not_try(
    version: DatasetVersion, client_of: Callable[[User], Client], viewer: User, outsider: User
) -> None:
    assert client_of(viewer).post(TRY, asked(version)).status_code == 403
    assert client_of(outsider).post(TRY, asked(version)).status_code == 404
