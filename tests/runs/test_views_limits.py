"""Ceilings and the cache as people meet them: launch sheet, run page, card, settings, API, terminal."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from datasets.models import DatasetVersion
from registry.models import RegisteredModel
from runs.engine.host import run_to_end
from runs.models import MonthlySpend, Run, RunStatus, Trial
from tests.runs.test_api import Api, api_of
from workspaces import services
from workspaces.access import access_for
from workspaces.models import AuditEvent, User, Workspace

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
Models = Callable[..., RegisteredModel]
ClientOf = Callable[[User], Client]
LAUNCH, PLAN = "/w/alpha/runs/launch/", "/w/alpha/runs/launch/plan/"
HTMX = {"HX-Request": "true"}
PRICES = {"input_price": Decimal("10"), "output_price": Decimal("30")}


@pytest.fixture
def client(client_of: ClientOf, editor: User) -> Client:
    return client_of(editor)


@pytest.fixture
def wish(dataset: Callable[..., DatasetVersion], model: Models) -> dict[str, Any]:
    return {
        "dataset_version": dataset(100).pk,
        "models": [model(**PRICES).pk],
        "responses": "fresh",
        "scorers": ["numeric"],
        "max_tokens": "100",
    }


@pytest.fixture
def waiting(launched: Launched, model: Models) -> Run:
    """A run that the engine paused at its cost ceiling."""
    run = launched(
        60, model(**PRICES), concurrency=10, params={"max_tokens": 100}, cost_ceiling=Decimal("0.02")
    )
    run_to_end(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.PAUSED and 0 < run.done < 60
    return run


def page_of(client: Client, run: Run, path: str = "") -> str:
    return client.get(f"/w/alpha/runs/{run.pk}/{path}").content.decode()


# Launch


def test_ceilings_and_cache_are_frozen_on_the_run(client: Client, wish: dict[str, Any]) -> None:
    answer = client.post(LAUNCH, wish | {"cost_ceiling": "2.5", "token_ceiling": "90000", "cache": "on"})
    run = Run.objects.get()
    assert answer.status_code == 302
    assert (run.cost_ceiling, run.token_ceiling, run.config["cache"]) == (Decimal("2.5"), 90_000, True)
    audited = AuditEvent.objects.get(action="evaluation.launch").detail
    assert (audited["cost_ceiling"], audited["token_ceiling"], audited["cache"]) == ("2.5", 90_000, True)
    again = client.get(f"{LAUNCH}?from={run.pk}").context["launch_form"].initial
    assert (again["cost_ceiling"], again["token_ceiling"], again["cache"]) == ("2.5", 90_000, True)


def test_nothing_is_limited_or_reused_unless_asked(client: Client, wish: dict[str, Any]) -> None:
    client.post(LAUNCH, wish)
    run = Run.objects.get()
    assert (run.cost_ceiling, run.token_ceiling, run.config["cache"]) == (None, None, False)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("cost_ceiling", "0", "Above 0"),
        ("cost_ceiling", "-1", "Above 0"),
        ("cost_ceiling", "cheap", "Enter a number"),
        ("cost_ceiling", "NaN", "Enter a number"),
        ("cost_ceiling", "0.00001", "decimal places"),
        ("cost_ceiling", "9999999999", "Above 0"),
        ("token_ceiling", "0", "From 1"),
        ("token_ceiling", "1.5", "whole number"),
        ("token_ceiling", "9" * 17, "From 1"),
    ],
)
def test_a_wrong_ceiling_is_told_at_its_field(
    field: str, value: str, words: str, client: Client, wish: dict[str, Any]
) -> None:
    answer = client.post(LAUNCH, wish | {field: value})
    assert answer.status_code == 422 and not Run.objects.exists()
    assert words in " ".join(answer.context["launch_form"].errors[field])
    assert f'id="l-{field}-error"' in answer.content.decode()


def test_a_cost_ceiling_without_a_price_names_the_model_and_the_way_out(
    client: Client, wish: dict[str, Any], model: Models
) -> None:
    wish["models"].append(model(name="unpriced").pk)
    answer = client.post(LAUNCH, wish | {"cost_ceiling": "2"})
    (text,) = answer.context["launch_form"].errors["cost_ceiling"]
    assert "No price is known for unpriced" in text and "token ceiling" in text
    assert client.post(LAUNCH, wish | {"token_ceiling": "90000"}).status_code == 302


def test_recorded_responses_have_nothing_to_limit(
    alpha: Workspace, editor: User, dataset: Callable[..., DatasetVersion]
) -> None:
    version = dataset(
        [{"prompt": "1 + 1?", "references": ["2"], "responses": {"m": "2"}}], response_models=["m"]
    )
    body = {
        "dataset_version_id": version.pk, "recorded_names": ["m"], "responses": "recorded",
        "scorers": [{"key": "numeric"}], "token_ceiling": 5,
    }  # fmt: skip
    refused = api_of(editor, alpha).ask("POST", "/evaluations", body)
    assert refused.status_code == 400 and "Recorded responses make no calls" in refused.content.decode()


def test_the_forecast_stands_against_the_ceiling_and_the_month(
    client: Client, wish: dict[str, Any], alpha: Workspace
) -> None:
    def plan(**more: str) -> str:
        return client.post(PLAN, wish | more, headers=HTMX).content.decode()

    assert "will pause" not in plan() and "Cost ceiling</dt>" not in plan()
    enough = plan(cost_ceiling="100")
    assert "of $100.00" in enough and "will pause" not in enough
    short = plan(cost_ceiling="0.01", token_ceiling="100")
    assert "over its ceiling of $0.010. Its run will pause on the way" in short
    assert "over its ceiling of 100. Its run" in plan(token_ceiling="100")
    alpha.monthly_cost_ceiling = Decimal("5")
    alpha.save(update_fields=["monthly_cost_ceiling"])
    spend = MonthlySpend.objects.create(
        workspace=alpha, month=timezone.now().date().replace(day=1), cost=Decimal("4.95"), tokens=1000
    )
    assert "more than the $0.050 that this workspace has left of its $5.00" in plan()
    MonthlySpend.objects.filter(pk=spend.pk).update(cost=Decimal("5"))
    assert "has used up its $5.00" in plan()


def test_an_administrator_without_models_is_led_to_register_one(
    client_of: ClientOf, staff: User, editor: User, alpha: Workspace
) -> None:
    assert "/admin/registry/registeredmodel/add/" in client_of(staff).get(LAUNCH).content.decode()
    for_editor = client_of(editor).get(LAUNCH).content.decode()
    assert "/admin/" not in for_editor and "An administrator adds them" in for_editor


# The run


def test_a_run_at_its_ceiling_says_so_and_can_be_raised(
    waiting: Run, client: Client, client_of: ClientOf, viewer: User
) -> None:
    html = page_of(client, waiting)
    assert "The run&#x27;s ceiling of $0.02 is reached" in html and "of $0.020 spent" in html
    assert "for the whole run at this pace" in html and "Raise the ceiling and resume" in html
    assert "Raise the ceiling and resume" not in page_of(client_of(viewer), waiting)
    board = client.get("/w/alpha/runs/").content.decode()
    assert "of $0.020</b>" in board and "Raise the ceiling…" in board

    answer = client.post(f"/w/alpha/runs/{waiting.pk}/ceilings/", {"cost_ceiling": "1"}, headers=HTMX)
    waiting.refresh_from_db()
    assert answer.status_code == 204 and answer["HX-Trigger"] == "run-changed"
    assert (waiting.status, waiting.cost_ceiling) == (RunStatus.PENDING, Decimal(1))
    event = AuditEvent.objects.get(action="run.set_ceilings")
    assert event.detail["cost_ceiling"] == "1" and event.detail["before"]["cost_ceiling"] == "0.0200"
    run_to_end(waiting.pk)
    waiting.refresh_from_db()
    assert waiting.status == RunStatus.COMPLETED
    assert waiting.log_lines.filter(text__contains="ceilings set by editor@example.com").exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"cost_ceiling": "0.02"}, "the run waits at it"),
        ({"cost_ceiling": "0.0001"}, "spent already"),
        ({"cost_ceiling": "x"}, "Cost ceiling: Enter a number"),
        ({"token_ceiling": "1"}, "used already"),
    ],
)
def test_a_ceiling_that_does_not_help_is_refused(
    body: dict[str, str], words: str, waiting: Run, client: Client
) -> None:
    url = f"/w/alpha/runs/{waiting.pk}/ceilings/"
    answer = client.post(url, body, headers=HTMX)
    assert answer.status_code == 422 and words in answer.content.decode()
    page = client.post(url, body, follow=True).content.decode()
    waiting.refresh_from_db()
    assert words in page and waiting.status == RunStatus.PAUSED


def test_only_a_run_that_waits_takes_ceilings(launched: Launched, client: Client) -> None:
    run = launched(3)
    for status, words in ((RunStatus.RUNNING, "Pause the run first"), (RunStatus.COMPLETED, "has ended")):
        Run.objects.filter(pk=run.pk).update(status=status)
        answer = client.post(f"/w/alpha/runs/{run.pk}/ceilings/", {"token_ceiling": "9"}, headers=HTMX)
        assert answer.status_code == 409 and words in answer.content.decode()


def test_a_month_at_its_ceiling_is_not_raised_on_the_run(launched: Launched, client: Client) -> None:
    run = launched(3, token_ceiling=10_000)
    reason = "The workspace's ceiling for May 2031 of 400 tokens is reached: 390 are used."
    Run.objects.filter(pk=run.pk).update(status=RunStatus.PAUSED, status_reason=reason)
    html = page_of(client, run)
    assert "ceiling for May 2031" in html and "Raise the ceiling and resume" not in html
    assert "Resume</button>" in html


def test_cached_answers_are_marked_everywhere(
    launched: Launched, model: Models, dataset: Any, client: Client, alpha: Workspace, viewer: User
) -> None:
    target, version = model(), dataset(4)
    for _ in range(2):
        run = launched(target=target, version=version, cache=True)
        run_to_end(run.pk)
    run.refresh_from_db()
    assert run.cached == 4
    html = page_of(client, run, "?item=2")
    assert "<b>4</b> of 4 from the cache, not in the latency figures" in html
    assert html.count('<span class="tag">cached</span>') == 5 and "Reuses identical answers" in html
    api = api_of(viewer, alpha)
    assert api.ask("GET", f"/runs/{run.pk}").json()["cached"] == 4
    assert [t["cached"] for t in api.ask("GET", f"/runs/{run.pk}/trials").json()["results"]] == [True] * 4
    lines = b"".join(client.get(f"/w/alpha/runs/{run.pk}/export/jsonl/")).splitlines()
    assert json.loads(lines[0])["cached"] is True
    table = b"".join(client.get(f"/w/alpha/runs/{run.pk}/export/csv/")).decode()
    assert [row["cached"] for row in csv.DictReader(io.StringIO(table, newline=""))] == ["true"] * 4
    assert not Trial.objects.filter(run=run).exclude(latency_ms=None).exists()


# The API


def test_the_api_launches_with_ceilings_and_raises_them(
    waiting: Run, editor: User, alpha: Workspace, wish: dict[str, Any]
) -> None:
    api: Api = api_of(editor, alpha)
    body = {
        "dataset_version_id": wish["dataset_version"], "model_ids": wish["models"],
        "scorers": [{"key": "numeric"}], "cost_ceiling": "3.50", "token_ceiling": 7_000, "cache": True,
    }  # fmt: skip
    made = api.ask("POST", "/evaluations", body).json()
    shown = api.ask("GET", f"/runs/{made['runs'][0]}").json()
    assert (shown["cost_ceiling"], shown["token_ceiling"]) == ("3.5000", 7_000) and shown["config"]["cache"]
    bad = api.ask("POST", "/evaluations", body | {"token_ceiling": 0})
    assert bad.status_code == 400 and "token_ceiling" in bad.content.decode()

    url = f"/runs/{waiting.pk}/ceilings"
    refused = api.ask("POST", url, {"cost_ceiling": "0.0001"})
    assert refused.status_code == 400 and refused.json()["errors"][0]["field"] == "cost_ceiling"
    kept = api.ask("POST", url, {"token_ceiling": 1_000_000, "resume": False}).json()
    assert (kept["status"], kept["cost_ceiling"], kept["token_ceiling"]) == ("paused", "0.0200", 1_000_000)
    gone = api.ask("POST", url, {"cost_ceiling": None}).json()
    assert (gone["status"], gone["cost_ceiling"]) == ("pending", None)


# The month


def test_an_administrator_sets_the_months_ceilings(
    client_of: ClientOf, staff: User, alpha: Workspace
) -> None:
    url, client = f"/admin/workspaces/workspace/{alpha.pk}/change/", client_of(staff)
    body = {"name": "Alpha", "monthly_cost_ceiling": "25.00", "monthly_token_ceiling": "1000000",
            "memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}  # fmt: skip
    assert client.post(url, body).status_code == 302
    alpha.refresh_from_db()
    assert (alpha.monthly_cost_ceiling, alpha.monthly_token_ceiling) == (Decimal(25), 1_000_000)
    event = AuditEvent.objects.get(action="workspace.set_ceilings")
    assert event.detail["cost"] == "25.00" and event.actor == staff
    client.post(url, body | {"monthly_cost_ceiling": "-1"})
    client.post(url, body | {"monthly_cost_ceiling": "", "monthly_token_ceiling": ""})
    alpha.refresh_from_db()
    assert (alpha.monthly_cost_ceiling, alpha.monthly_token_ceiling) == (None, None)
    assert AuditEvent.objects.filter(action="workspace.set_ceilings").count() == 2
    assert not AuditEvent.objects.filter(action="workspace.rename").exists()


def test_owners_see_what_the_month_came_to(
    client_of: ClientOf, owner: User, staff: User, alpha: Workspace
) -> None:
    services.workspace_set_ceilings(access_for(owner, "alpha"), cost=Decimal("20"), tokens=None)
    MonthlySpend.objects.create(
        workspace=alpha, month=timezone.now().date().replace(day=1), cost=Decimal("5"), tokens=1234, calls=7
    )
    html = client_of(owner).get("/w/alpha/settings/").content.decode()
    assert "$5.00 of $20.00" in html and 'width="25.0%"' in html and "<b>1,234</b>" in html
    assert "/admin/" not in html
    assert "/admin/workspaces/workspace/" in client_of(staff).get("/w/alpha/settings/").content.decode()


# The terminal


def at_terminal(file: Path, *more: str) -> dict[str, Any]:
    out = StringIO()
    call_command(
        "evaluate", str(file), "--map", "input=q", "reference=a", "--scorer", "numeric", "--json", *more,
        stdout=out, stderr=StringIO(),
    )  # fmt: skip
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_the_terminal_takes_ceilings_and_raises_them(alpha: Workspace, model: Models, tmp_path: Path) -> None:
    file = tmp_path / "sums.jsonl"
    file.write_text("".join(f'{{"q": "{n}? [[answer:{n}]]", "a": "{n}"}}\n' for n in range(30)))
    priced = model(name="priced", **PRICES)
    model(name="unpriced")
    with pytest.raises(CommandError, match="--max-cost: No price is known for unpriced"):
        at_terminal(file, "--model", "unpriced", "--max-cost", "1")
    with pytest.raises(CommandError, match="invalid dollars value"):
        at_terminal(file, "--model", "priced", "--max-cost", "much")
    limits = ("--max-tokens", "600", "--param", "max_tokens=100", "--cache", "--max-cost", "$1.50")
    with pytest.raises(SystemExit):
        at_terminal(file, "--model", priced.name, *limits)
    run = Run.objects.get()
    assert (run.status, run.token_ceiling, run.config["cache"]) == (RunStatus.PAUSED, 600, True)
    assert run.cost_ceiling == Decimal("1.5")
    with pytest.raises(CommandError, match="--max-tokens"):
        call_command("evaluate", "--resume", str(run.pk), "--max-tokens", "1")
    call_command("evaluate", "--resume", str(run.pk), "--max-tokens", "100000", stdout=StringIO())
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
