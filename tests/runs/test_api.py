"""A script's whole way over HTTP: launch, wait, read, command, take away; and who may do which of it."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from drf_spectacular.validation import validate_schema

from datasets.models import DatasetVersion
from registry.models import RegisteredModel
from runs.engine.host import run_to_end
from runs.models import Evaluation, Run, RunStatus, Trial
from tests.stub_endpoint import StubEndpoint
from workspaces.models import ApiToken, AuditEvent, Role, User, Workspace
from workspaces.secrets import digest, new_token

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]


class Api(Client):
    """A script with a token."""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        payload = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        return self.generic(method, f"/api/v1{path}", headers=headers or None, **payload)

    def read(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.content
        return answer.json()


def api_of(user: User, workspace: Workspace, role: Role = Role.EDITOR, **fields: Any) -> Api:
    secret = new_token()
    ApiToken.objects.create(
        workspace=workspace, created_by=user, name="script", prefix=secret[:12], token_hash=digest(secret),
        role=role, **fields,
    )  # fmt: skip
    return Api(headers={"authorization": f"Bearer {secret}"})


@pytest.fixture
def api(editor: User, alpha: Workspace) -> Api:
    return api_of(editor, alpha)


@pytest.fixture
def wish(dataset: Callable[..., DatasetVersion], model: Callable[..., RegisteredModel]) -> dict[str, Any]:
    return {
        "dataset_version_id": dataset(6).pk,
        "model_ids": [model().pk],
        "scorers": [{"key": "numeric"}],
        "label": "nightly",
    }


@pytest.fixture
def run(launched: Launched) -> Run:
    """Six items done, of which the last fails for good."""
    items: list[dict[str, Any]] = [
        {"prompt": f"{n} [[answer:{n}]]", "references": [str(n)], "section": "odd" if n % 2 else "even",
         "external_id": f"n{n}"}
        for n in range(1, 6)
    ]  # fmt: skip
    items.append({"prompt": "bad [[fail:400]]", "references": ["1"], "section": "bad"})
    made = launched(items, label="first")
    run_to_end(made.pk)
    made.refresh_from_db()
    return made


def test_launch_wait_read(api: Api, wish: dict[str, Any]) -> None:
    answer = api.ask("POST", "/evaluations", wish)
    assert answer.status_code == 202, answer.content
    (run_id,) = answer.json()["runs"]
    assert answer["Location"].endswith(f"/api/v1/evaluations/{answer.json()['id']}")
    assert api.read(f"/runs/{run_id}")["status"] == "pending"
    run_to_end(run_id)
    found = api.read(f"/runs/{run_id}")
    assert (found["status"], found["done"], found["label"]) == ("completed", 6, "nightly")
    accuracy = found["metrics"]["accuracy"]
    assert (accuracy["value"], accuracy["n"], accuracy["correct"]) == (1.0, 6, 6)
    assert accuracy["low"] == pytest.approx(0.6097, abs=1e-4) and accuracy["high"] == 1.0
    assert [row["section"] for row in found["sections"]] == ["odd", "even"]
    assert found["config"]["scorers"][0]["key"] == "numeric"
    evaluation = api.read(f"/evaluations/{answer.json()['id']}")
    assert evaluation["runs"][0]["accuracy"]["correct"] == 6
    assert AuditEvent.objects.filter(action="evaluation.launch", actor_label="token script").exists()


def test_idempotency_key_launches_once(api: Api, wish: dict[str, Any]) -> None:
    first = api.ask("POST", "/evaluations", wish, **{"Idempotency-Key": "k1"})
    again = api.ask("POST", "/evaluations", wish, **{"Idempotency-Key": "k1"})
    assert first.status_code == again.status_code == 202 and first.json() == again.json()
    assert again["Idempotent-Replayed"] == "true" and again["Location"] == first["Location"]
    assert Evaluation.objects.count() == 1
    other = api.ask("POST", "/evaluations", {**wish, "label": "x"}, **{"Idempotency-Key": "k1"})
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"model_ids": []}, {"model_ids"}),
        ({"model_ids": [10**9]}, {"model_ids"}),
        ({"dataset_version_id": 10**9}, {"dataset_version_id"}),
        ({"dataset_version_id": 10**30}, {"dataset_version_id"}),
        ({"model_ids": [10**30]}, {"model_ids.0"}),
        ({"scorers": [{"key": "numerc"}]}, {"scorers"}),
        ({"scorers": [{"key": "numeric", "options": {"tolerance": 1}}]}, {"scorers"}),
        ({"scorers": [{}]}, {"scorers.0.key"}),
        ({"scorers": "numeric"}, {"scorers"}),
        ({"template": "{{ references }}"}, {"template"}),
        ({"params": {"temperature": 9}}, {"params.temperature"}),
        ({"epochs": 0, "limit": 0}, {"epochs", "limit"}),
        ({"responses": "old"}, {"responses"}),
        ({"name": "x" * 300}, {"name"}),
    ],
)
def test_wrong_launch_names_the_fields(
    api: Api, wish: dict[str, Any], change: dict[str, Any], fields: set[str]
) -> None:
    answer = api.ask("POST", "/evaluations", {**wish, **change})
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert {error["field"] for error in answer.json()["errors"]} == fields
    assert not Evaluation.objects.exists()


def test_another_workspaces_parts_cannot_be_launched(
    api: Api, wish: dict[str, Any], dataset: Callable[..., DatasetVersion], beta: Workspace,
    model: Callable[..., RegisteredModel], provider: Callable[..., Any],
) -> None:  # fmt: skip
    foreign = dataset(2, workspace=beta)
    stranger = model(workspace=beta, provider=provider(workspace=beta))
    answer = api.ask("POST", "/evaluations", {**wish, "dataset_version_id": foreign.pk})
    assert {error["field"] for error in answer.json()["errors"]} == {"dataset_version_id"}
    answer = api.ask("POST", "/evaluations", {**wish, "model_ids": [stranger.pk]})
    assert {error["field"] for error in answer.json()["errors"]} == {"model_ids"}


def test_runs_are_filtered(api: Api, run: Run, launched: Launched) -> None:
    other = launched(2, alias="other")
    assert [row["id"] for row in api.read("/runs")["results"]] == [other.pk, run.pk]
    for query, expected in (
        ("status=completed", {run.pk}),
        ("status=pending", {other.pk}),
        ("status=pending&status=completed", {run.pk, other.pk}),
        ("alias=other", {other.pk}),
        ("label=first", {run.pk}),
        (f"dataset={run.dataset_version.dataset_id}", {run.pk}),
        (f"model={run.model_id}", {run.pk}),
        (f"evaluation={other.evaluation_id}", {other.pk}),
        ("label=none", set()),
    ):
        assert {row["id"] for row in api.read(f"/runs?{query}")["results"]} == expected, query
    assert api.ask("GET", "/runs?status=lost").status_code == 400
    assert api.ask("GET", "/runs?dataset=x").status_code == 400


def test_runs_cost_a_fixed_number_of_queries(api: Api, launched: Launched) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            api.read("/runs")
            api.read("/evaluations")
        return len(queries)

    launched(1)
    cost()
    one = cost()
    for _ in range(5):
        launched(1)
    assert cost() == one


def test_trials_page_by_number(api: Api, run: Run) -> None:
    first = api.read(f"/runs/{run.pk}/trials?limit=4")
    assert [trial["seq"] for trial in first["results"]] == [1, 2, 3, 4] and first["previous"] is None
    second = api.get(first["next"]).json()
    assert [trial["seq"] for trial in second["results"]] == [5, 6] and second["next"] is None
    assert second["results"][0]["scores"][0]["scorer"] == "numeric"


def test_trials_are_filtered(api: Api, run: Run) -> None:
    for query, expected in (
        ("state=errored", [6]),
        ("state=done&state=errored", [1, 2, 3, 4, 5, 6]),
        ("passed=true", [1, 2, 3, 4, 5]),
        ("passed=false", []),
        ("section=even", [2, 4]),
        ("q=answer:3", [3]),
        ("q=n2", [2]),
        ("q=n2&section=odd", []),
    ):
        assert [
            trial["seq"] for trial in api.read(f"/runs/{run.pk}/trials?{query}")["results"]
        ] == expected, query
    assert api.ask("GET", f"/runs/{run.pk}/trials?state=lost").status_code == 400


def test_one_trial_has_scores_and_attempts(api: Api, run: Run) -> None:
    good = api.read(f"/runs/{run.pk}/trials/1")
    assert good["passed"] is True and good["scores"][0]["explanation"]
    assert good["attempts"][0]["outcome"] == "ok" and good["references"] == ["1"]
    bad = api.read(f"/runs/{run.pk}/trials/6")
    assert bad["state"] == "errored" and bad["attempts"][0]["status_code"] == 400
    assert api.ask("GET", f"/runs/{run.pk}/trials/7").status_code == 404
    assert api.ask("GET", f"/runs/{run.pk}/trials/{10**17}").status_code == 404


def test_retry_all_and_one(api: Api, run: Run) -> None:
    assert api.ask("POST", f"/runs/{run.pk}/trials/1/retry").status_code == 409
    one = api.ask("POST", f"/runs/{run.pk}/trials/6/retry")
    assert (one.status_code, one.json()) == (202, {"retried": 1})
    assert Trial.objects.get(run=run, seq=6).state == "pending"
    assert api.ask("POST", f"/runs/{run.pk}/retry").status_code == 409
    run_to_end(run.pk)
    assert api.ask("POST", f"/runs/{run.pk}/retry").json() == {"retried": 1}


def test_pause_resume_cancel_delete(api: Api, launched: Launched) -> None:
    run = launched(3)
    assert api.ask("POST", f"/runs/{run.pk}/pause").json()["status"] == "paused"
    assert api.ask("POST", f"/runs/{run.pk}/pause").status_code == 409
    assert api.ask("POST", f"/runs/{run.pk}/resume").json()["status"] == "pending"
    canceled = api.ask("POST", f"/runs/{run.pk}/cancel").json()
    assert (canceled["status"], canceled["canceled"]) == ("canceled", 3)
    refused = api.ask("POST", f"/runs/{run.pk}/cancel")
    assert refused.status_code == 409 and "pending" in refused.json()["detail"]
    gone = api.ask("DELETE", f"/runs/{run.pk}")
    assert gone.status_code == 204 and not gone.content
    assert not Run.objects.exists() and not Trial.objects.exists()
    assert api.ask("GET", f"/runs/{run.pk}").status_code == 404


def test_exports(api: Api, run: Run) -> None:
    def fetched(kind: str) -> bytes:
        answer = api.ask("GET", f"/runs/{run.pk}/export/{kind}")
        assert answer.status_code == 200 and f"run-{run.pk}.{kind}" in answer["Content-Disposition"]
        return b"".join(answer.streaming_content)

    assert len(fetched("jsonl").splitlines()) == 6
    assert fetched("csv").startswith(b"seq,item_id")
    assert zipfile.ZipFile(io.BytesIO(fetched("zip"))).testzip() is None
    assert api.ask("GET", f"/runs/{run.pk}/export/xlsx").status_code == 404


READ, WRITE = 200, 403  # what a viewer gets
ROUTES = [
    ("GET", "/evaluations", READ),
    ("POST", "/evaluations", WRITE),
    ("GET", "/evaluations/{evaluation}", READ),
    ("GET", "/runs", READ),
    ("GET", "/runs/{run}", READ),
    ("DELETE", "/runs/{run}", WRITE),
    ("POST", "/runs/{run}/cancel", WRITE),
    ("POST", "/runs/{run}/pause", WRITE),
    ("POST", "/runs/{run}/resume", WRITE),
    ("POST", "/runs/{run}/retry", WRITE),
    ("GET", "/runs/{run}/figures", READ),
    ("GET", "/runs/{run}/misses", WRITE),  # its references leave the workspace's pages
    ("GET", "/runs/{run}/misses/chat", WRITE),
    ("POST", "/runs/{run}/misses", WRITE),
    ("GET", "/runs/{run}/judges", READ),
    ("POST", "/runs/{run}/judges", WRITE),
    ("GET", "/runs/{run}/answers", 404),  # this run is not filled in by hand
    ("POST", "/runs/{run}/answers", WRITE),
    ("GET", "/runs/{run}/answers/pack", 404),
    ("POST", "/runs/{run}/answers/score", WRITE),
    ("GET", "/runs/{run}/export/jsonl", READ),
    ("GET", "/runs/{run}/export/csv", READ),
    ("GET", "/runs/{run}/export/zip", READ),
    ("POST", "/runs/{run}/ceilings", WRITE),
    ("GET", "/runs/{run}/attempts", READ),
    ("GET", "/runs/{run}/trials", READ),
    ("GET", "/runs/{run}/trials/1", READ),
    ("POST", "/runs/{run}/trials/6/retry", WRITE),
]


def test_who_may_do_what(
    run: Run,
    wish: dict[str, Any],
    viewer: User,
    editor: User,
    outsider: User,
    alpha: Workspace,
    beta: Workspace,
) -> None:
    """Each route as nobody, with a dead token, as an outsider, as a viewer: nothing leaks or changes."""
    past = timezone.now() - timedelta(seconds=1)
    dead = [api_of(editor, alpha, expires_at=past), api_of(editor, alpha, revoked_at=past)]
    stranger, reader = api_of(outsider, beta, Role.OWNER), api_of(viewer, alpha, Role.VIEWER)
    weak = api_of(editor, alpha, Role.VIEWER)
    before = (Run.objects.count(), Evaluation.objects.count(), Run.objects.get().sequence)
    for method, pattern, expected in ROUTES:
        path = pattern.format(run=run.pk, evaluation=run.evaluation_id)
        body = wish if path == "/evaluations" and method == "POST" else None
        for nobody in (Api(), *dead):
            answer = nobody.ask(method, path, body)
            assert answer.status_code == 401 and answer["Content-Type"] == "application/problem+json", path
        for limited in (reader, weak):
            assert limited.ask(method, path, body).status_code == expected, path
        answer = stranger.ask(method, path, body)
        if path in ("/evaluations", "/runs"):
            assert answer.status_code == 400 if body else answer.json()["results"] == []
        else:
            assert answer.status_code == 404, path
            assert run.alias.encode() not in answer.content
    assert before == (Run.objects.count(), Evaluation.objects.count(), Run.objects.get().sequence)
    assert Run.objects.get().status == RunStatus.COMPLETED


def test_every_route_of_the_api_is_in_that_table(api: Api) -> None:
    """A new route of runs can't be forgotten above."""
    paths = schema_of(api)["paths"]
    ours = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in paths.items()
        for method in methods
        if path.startswith(("/api/v1/runs", "/api/v1/evaluations"))
    }
    plain = {"{run}": "{id}", "{evaluation}": "{id}", "trials/1": "trials/{seq}", "trials/6": "trials/{seq}"}
    tried = set()
    for method, path, _ in ROUTES:
        for ours_, theirs in plain.items():
            path = path.replace(ours_, theirs)
        path = path.replace("{id}/trials", "{run_id}/trials").replace("{id}/attempts", "{run_id}/attempts")
        path = path.replace("{id}/figures", "{run_id}/figures").replace("{id}/misses", "{run_id}/misses")
        path = path.replace("{id}/judges", "{run_id}/judges").replace("{id}/answers", "{run_id}/answers")
        tried.add((method, "/runs/{id}/export/{kind}" if "/export/" in path else path))
    assert tried == ours


def schema_of(api: Api) -> dict[str, Any]:
    answer = api.get("/api/schema", {"format": "json"})
    assert answer.status_code == 200
    found: dict[str, Any] = json.loads(answer.content)
    return found


def test_schema_is_valid_openapi(api: Api) -> None:
    schema = schema_of(api)
    validate_schema(schema)
    assert schema["openapi"].startswith("3.")
    launch = schema["paths"]["/api/v1/evaluations"]["post"]
    assert set(launch["responses"]) == {"202", "default"}
    assert {"token": []} in launch["security"]


def test_schema_has_no_warnings(tmp_path: Any) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


@pytest.mark.parametrize("address", ["/api/schema", "/api/schema/", "/api/docs", "/api/docs/"])
def test_schema_and_docs_are_for_people_with_a_login(
    address: str, viewer: User, client_of: Callable[[User], Client], client: Client
) -> None:
    assert client_of(viewer).get(address).status_code == 200
    assert client.get(address).status_code in (302, 401)


def test_openai_compatible_endpoint_is_not_called_by_the_api(
    api: Api, wish: dict[str, Any], stub: StubEndpoint
) -> None:
    """A launch is answered at once; workers call."""
    api.ask("POST", "/evaluations", wish)
    assert stub.stats.total == 0


@pytest.mark.parametrize(
    "query", ["dataset=1e49", "model=1e49", "cursor=cD1h", "cursor=cD0lMDA%3D", "alias=%00"]
)
def test_a_query_that_makes_no_sense_is_no_fault(query: str, client_of: Any, viewer: Any) -> None:
    answer = client_of(viewer).get(f"/api/v1/runs?{query}", headers={"X-Workspace": "alpha"})
    assert answer.status_code in (200, 400, 404)
