"""The launch sheet follows the chosen dataset, as long as nobody has changed what it proposed."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client

from datasets.models import DatasetVersion
from registry.models import RegisteredModel
from runs.models import Run
from workspaces.models import User

pytestmark = pytest.mark.django_db
LAUNCH = "/w/alpha/runs/launch/"
PLAN = "/w/alpha/runs/launch/plan/"
HTMX = {"HX-Request": "true"}
WORDS = [{"prompt": "Capital of France?", "references": ["Paris"]}]


class Sheet(HTMLParser):
    """What a browser would send of the sheet as it stands."""

    def __init__(self, html: str):
        super().__init__()
        self.sent: dict[str, list[str]] = {}
        self._name = self._text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "input" and (found.get("type") not in ("checkbox", "radio") or "checked" in found):
            self._add(found.get("name") or "", found.get("value") or ("" if "value" in found else "on"))
        elif tag in ("select", "textarea"):
            self._name, self._text = found.get("name") or "", ""
        elif tag == "option" and "selected" in found:
            self._add(self._name, found.get("value") or "")

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._add(self._name, "\r\n".join(self._text.splitlines()))

    def _add(self, name: str, value: str) -> None:
        self.sent.setdefault(name, []).append(value)


@pytest.fixture
def client(client_of: Callable[[User], Client], editor: User) -> Client:
    return client_of(editor)


@pytest.fixture
def words(dataset: Callable[..., DatasetVersion]) -> DatasetVersion:
    return dataset(WORDS, name="words")


@pytest.fixture
def sums(
    words: DatasetVersion, dataset: Callable[..., DatasetVersion], model: Callable[..., RegisteredModel]
) -> DatasetVersion:
    """The newer one, which a new sheet opens on."""
    model()
    return dataset(10, name="sums")


def sheet(client: Client, query: str = "") -> dict[str, list[str]]:
    return Sheet(client.get(LAUNCH + query).content.decode()).sent


def plan(client: Client, sent: dict[str, Any]) -> tuple[list[str], str]:
    """The scorers that the sheet shows then, and the answer."""
    answer = client.post(PLAN, sent, headers=HTMX)
    return [slot.key for slot in answer.context["launch_form"].chosen_slots], answer.content.decode()


def test_another_dataset_brings_its_scorer(
    client: Client, sums: DatasetVersion, words: DatasetVersion
) -> None:
    sent = sheet(client)
    assert (sent["dataset_version"], sent["scorers"]) == ([str(sums.pk)], ["numeric"])
    assert 'id="launch-scoring"' not in plan(client, sent)[1]
    chosen, html = plan(client, sent | {"dataset_version": words.pk})
    assert chosen == ["exact_match"]
    assert 'id="launch-scoring" hx-swap-oob="true"' in html and html.count('id="launch-try"') == 1
    assert f'name="proposed_for" value="{words.pk}"' in html
    shown = Sheet(html).sent
    assert shown["scorers"] == ["exact_match"]
    for name in [name for name in sent if name.startswith("numeric.")]:
        del sent[name]
    back, html = plan(client, sent | shown | {"dataset_version": sums.pk})
    assert back == ["numeric"] and 'id="launch-scoring"' in html


def test_it_brings_the_scoring_and_template_of_the_last_run_on_it(
    client: Client, sums: DatasetVersion, words: DatasetVersion
) -> None:
    last = {"dataset_version": words.pk, "scorers": ["includes", "regex"], "regex.pattern": "(P.*)",
            "template": "Q: {{ input }}\r\nA:"}  # fmt: skip
    assert client.post(LAUNCH, sheet(client) | last).status_code == 302
    run = Run.objects.get()
    chosen, html = plan(client, sheet(client) | {"dataset_version": words.pk})
    assert chosen == ["includes", "regex"] and f"as in run #{run.pk}" in html
    assert Sheet(html).sent["template"] == ["Q: {{ input }}\r\nA:"] and "(P.*)" in html
    assert plan(client, sheet(client, f"?dataset_version={words.pk}") | {"dataset_version": sums.pk})[0] == [
        "numeric"
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"scorers": ["numeric", "includes"]},
        {"numeric.absolute_tolerance": "2"},
        {"template": "Say {{ input }}"},
    ],
)
def test_what_someone_has_changed_stands(
    client: Client, sums: DatasetVersion, words: DatasetVersion, changed: dict[str, Any]
) -> None:
    sent = sheet(client) | changed
    chosen, html = plan(client, sent | {"dataset_version": words.pk})
    assert chosen == sent["scorers"] and 'id="launch-scoring"' not in html
    assert f'name="proposed_for" value="{sums.pk}"' in html  # so that it follows once that is undone


def test_a_sheet_made_from_a_run_keeps_its_scoring(
    client: Client, sums: DatasetVersion, words: DatasetVersion
) -> None:
    assert client.post(LAUNCH, sheet(client)).status_code == 302
    again = sheet(client, f"?from={Run.objects.get().pk}")
    assert plan(client, again | {"dataset_version": words.pk})[0] == ["numeric"]


def test_another_dataset_brings_its_recorded_responses(
    client: Client, sums: DatasetVersion, dataset: Callable[..., DatasetVersion]
) -> None:
    rows = [{"prompt": "1?", "references": ["1"], "responses": {"old-model": "1"}}]
    answered = dataset(rows, name="answered", response_models=["old-model"], upload_type="query_response")
    sent = sheet(client, f"?dataset_version={sums.pk}")
    html = plan(client, sent | {"dataset_version": answered.pk})[1]
    assert 'id="launch-recorded" hx-swap-oob="true"' in html and 'value="old-model"' in html
    assert f'name="dataset_shown" value="{answered.pk}"' in html and 'id="launch-try"' in html
    assert 'id="launch-recorded"' not in plan(client, sent)[1]


def test_no_dataset_and_numbers_that_are_none_change_nothing(client: Client, sums: DatasetVersion) -> None:
    sent = sheet(client)
    assert plan(client, sent | {"dataset_version": ""})[0] == ["numeric"]
    assert plan(client, sent | {"proposed_for": "x", "dataset_shown": "-1"})[0] == ["numeric"]
