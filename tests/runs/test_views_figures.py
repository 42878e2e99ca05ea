"""The tab with metrics: what suits the run, by section, clustered, kept, and a worker's for large runs."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from datasets.models import DatasetVersion
from judges.metrics import proportion
from runs.engine.host import run_to_end
from runs.metrics import run_metrics
from runs.models import Run, Trial
from runs.services import figures as service
from runs.tasks import figures as task
from tests.stub_endpoint import StubEndpoint
from workspaces.models import User

pytestmark = pytest.mark.usefixtures("engine")
HTMX = {"HX-Request": "true", "HX-Target": "figures"}


@pytest.fixture
def client(client_of: Callable[[User], Client], viewer: User) -> Client:
    cache.clear()
    return client_of(viewer)


@pytest.fixture
def run(launched: Callable[..., Run], dataset: Any) -> Run:
    """24 recorded answers yes or no in two sections and six documents; every fourth is wrong."""
    rows = [
        {
            "prompt": f"Question {n}",
            "references": ["yes" if n % 2 else "no"],
            "section": "odd" if n % 2 else "even",
            "metadata": {"document": f"d{n % 6}"},
            "responses": {"old": "yes" if bool(n % 2) != (n % 4 == 0) else "no"},
        }
        for n in range(24)
    ]
    version: DatasetVersion = dataset(rows, response_models=["old"], upload_type="query_response")
    scorers = [{"key": "exact_match"}, {"key": "token_f1"}]
    made = launched(
        version=version, responses="recorded", model_ids=[], recorded_names=["old"], scorers=scorers
    )
    run_to_end(made.pk)
    made.refresh_from_db()
    return made


def url_of(run: Run, query: str = "") -> str:
    return f"/w/alpha/runs/{run.pk}/metrics/{query}"


def test_each_metric_says_what_it_counts(client: Client, run: Run) -> None:
    answer = client.get(url_of(run))
    found, html = answer.context["figures"], answer.content.decode()
    titles = [row.title for row in found.rows]
    assert titles == [
        "Accuracy", "Exact match", "Answer rate", "F1 over labels, macro", "F1 over labels, micro",
    ]  # fmt: skip
    accuracy = found.rows[0]
    assert (accuracy.estimate.n, accuracy.estimate.correct) == (24, 18)
    assert set(accuracy.sections) == {"odd", "even"} and accuracy.sections["odd"].correct == 12
    assert "75.0<small>%</small>" in html and "24 scored trials" in html and "Wilson" in html


def test_the_scorer_and_the_cluster_are_in_the_url(client: Client, run: Run) -> None:
    shown = client.get(url_of(run, "?scorer=token_f1&cluster=document")).context
    assert (shown["asked"].scorer, shown["asked"].cluster) == ("token_f1", "document")
    assert "Corpus BLEU" in [row.title for row in shown["figures"].rows]
    assert "clustered" in shown["figures"].rows[0].estimate.interval
    unknown = client.get(url_of(run, "?scorer=none&cluster=none")).context["asked"]
    assert (unknown.scorer, unknown.cluster) == ("exact_match", "")


def test_epochs_give_figures_over_items(
    client: Client, launched: Callable[..., Run], stub: StubEndpoint
) -> None:
    stub.set(accuracy=0.6)
    run = launched(8, epochs=3)
    run_to_end(run.pk)
    found = client.get(url_of(run)).context["figures"]
    titles = [row.title for row in found.rows]
    assert {"pass@2", "pass@3", "pass^2", "pass^3", "Majority vote of 3"} <= set(titles)
    assert {row.estimate.n for row in found.rows if row.title.startswith(("pass", "Maj"))} == {8}
    assert found.rows[0].estimate.n == 24 and "clustered" in found.rows[0].estimate.interval
    run.refresh_from_db()
    head, exact = run_metrics(run)[0], found.rows[0].estimate
    assert (head.value, head.low, head.high) == pytest.approx((exact.value, exact.low, exact.high))
    run.summary = {}
    early = run_metrics(run)[0]
    plain = proportion(head.correct, 24)
    assert early.low < plain.low and plain.high < early.high and early.n == 24


def test_they_are_computed_once_for_each_state_of_the_run(client: Client, run: Run) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(url_of(run))
        return len([query for query in captured if "runs_score" in query["sql"]])

    assert (queries(), queries()) == (1, 0)
    Run.objects.filter(pk=run.pk).update(sequence=run.sequence + 1)
    assert queries() == 1


def test_a_worker_computes_those_of_a_large_run(
    client: Client, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "AT_ONCE_UP_TO", 10)
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(task, "delay_on_commit", lambda *args: sent.append(args))
    assert "Computing over 24 items" in client.get(url_of(run)).content.decode()
    assert client.get(url_of(run, "?wait=1"), headers=HTMX).status_code == 204
    assert sent == [(run.pk, "exact_match", "")]
    task(*sent[0])
    assert "Exact match" in client.get(url_of(run, "?wait=1"), headers=HTMX).content.decode()


def test_a_run_without_a_result_says_so(client: Client, launched: Callable[..., Run]) -> None:
    run = launched(3)
    assert "No figures yet" in client.get(url_of(run)).content.decode()
    assert Trial.objects.filter(run=run).exists()


def test_outsiders_get_nothing(run: Run, client_of: Callable[[User], Client], outsider: User) -> None:
    assert client_of(outsider).get(url_of(run)).status_code == 404


def weighted_run(launched: Callable[..., Run], dataset: Any, responses: str = "old") -> Run:
    """Ten items; the one that is right weighs 9, the others 1."""
    rows = [
        {
            "prompt": f"Question {n}",
            "references": ["yes"],
            "section": "a" if n < 5 else "b",
            "metadata": {"weight": 1 if n else 9, "topic": n % 3},
            "responses": {"old": "no" if n else "yes"},
        }
        for n in range(10)
    ]
    version = dataset(rows, response_models=["old"], upload_type="query_response")
    made = launched(version=version, responses="recorded", model_ids=[], recorded_names=["old"],
                    scorers=[{"key": "exact_match"}])  # fmt: skip
    run_to_end(made.pk)
    made.refresh_from_db()
    return made


def test_weights_of_items_are_used_and_said(
    client: Client, launched: Callable[..., Run], dataset: Any
) -> None:
    run = weighted_run(launched, dataset)
    answer = client.get(url_of(run))
    found, html = answer.context["figures"], answer.content.decode()
    by_key = {row.key: row for row in found.rows}
    assert by_key["accuracy"].estimate.value == 0.1 and by_key["weighted_accuracy"].estimate.value == 0.5
    assert by_key["weighted_accuracy"].sections["a"].value == pytest.approx(9 / 13)
    assert "Items count by their weight, from 1 to 9" in html and "of weight 18 together" in html
    head = {metric.key: metric for metric in run_metrics(run)}
    exact = by_key["weighted_accuracy"].estimate
    shown = head["weighted_accuracy"]
    assert (shown.value, shown.low, shown.high) == pytest.approx((exact.value, exact.low, exact.high))
    assert "of weight 18 together" in head["weighted_accuracy"].note
    assert "weight" not in client.get(url_of(run)).context["cluster_keys"]


def test_without_weights_nothing_is_said_of_them(client: Client, run: Run) -> None:
    html = client.get(url_of(run)).content.decode()
    assert "eight" not in html.partition('id="figures"')[2] and "weights" not in run.summary


def test_the_api_gives_the_same_figures(
    client: Client, run: Run, launched: Callable[..., Run], dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(which: Run, **query: str) -> Any:
        head = {"X-Workspace": "alpha"}
        return client.get(f"/api/v1/runs/{which.pk}/figures", query, headers=head)

    found = asked(run, scorer="token_f1", cluster="document").json()
    assert (found["scorer"], found["cluster"], found["trials"]) == ("token_f1", "document", 24)
    assert found["cluster_keys"] == ["document"] and not found["weights"]
    accuracy = found["metrics"][0]
    assert accuracy["overall"]["n"] == 24 and "clustered" in accuracy["overall"]["interval"]
    assert accuracy["sections"]["odd"]["denominator"] == "12 scored trials"
    wrong = asked(run, scorer="none", cluster="none")
    assert wrong.status_code == 400 and "scorer" in wrong.content.decode()
    weighted = asked(weighted_run(launched, dataset)).json()
    assert "from 1 to 9" in weighted["weights"]
    assert "weighted_accuracy" in [row["key"] for row in weighted["metrics"]]
    monkeypatch.setattr(service, "AT_ONCE_UP_TO", 10)
    monkeypatch.setattr(task, "delay_on_commit", lambda *args: None)
    cache.clear()
    assert asked(run).status_code == 202 and asked(run)["Retry-After"] == "2"


def test_sections_say_what_is_left_out(client: Client, launched: Callable[..., Run], dataset: Any) -> None:
    rows = [
        {"prompt": f"{n}", "references": ["yes"] if n else [], "section": "ab"[n % 2],
         "responses": {"old": "yes"}}
        for n in range(6)
    ]  # fmt: skip
    version = dataset(rows, response_models=["old"], upload_type="query_response")
    run = launched(version=version, responses="recorded", model_ids=[], recorded_names=["old"],
                   scorers=[{"key": "exact_match"}])  # fmt: skip
    run_to_end(run.pk)
    sections = client.get(url_of(run)).content.decode().partition("By section")[2]
    assert "1 unscored not counted" in sections and "n&nbsp;=&nbsp;2" in sections
