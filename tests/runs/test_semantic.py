"""Semantic similarity in runs: an embedding model asked with all that a call is promised."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from datasets.models import DatasetVersion
from judges.models import JudgeVersion
from registry.models import RegisteredModel
from runs.engine.check import check_run
from runs.engine.host import run_to_end
from runs.metrics import metrics_json
from runs.models import Attempt, MonthlySpend, Run, RunStatus, Score, Trial
from runs.selectors_variants import show_as_asked
from runs.services import Launch, LaunchProblems, launch, launch_plan, run_delete, run_retry
from tests.runs.scripted_judge import ScriptedJudge, verdict
from tests.stub_endpoint import StubEndpoint
from workspaces.access import Access
from workspaces.models import User, Workspace

pytestmark = pytest.mark.usefixtures("engine")
Launched = Callable[..., Run]
SEMANTIC = {"key": "semantic", "name": "meaning", "options": {"model": "embedder", "pass_at": 0.7}}
WORDS = [
    {"external_id": "same", "prompt": "1", "references": ["a small red house", "zebra"]},
    {"external_id": "near", "prompt": "2", "references": ["a small red boat"]},
    {"external_id": "far", "prompt": "3", "references": ["quite another thing"]},
    {"external_id": "none", "prompt": "4", "references": []},
]


@pytest.fixture
def embedder(model: Callable[..., RegisteredModel]) -> RegisteredModel:
    return model(name="embedder", embeds=True, input_price=Decimal("1000"))


@pytest.fixture
def client(client_of: Callable[[User], Client], editor: User) -> Client:
    return client_of(editor)


def ended(run: Run) -> Run:
    """The run and its judgings executed to their end; all counters must agree with their rows."""
    run_to_end(run.pk)
    for judging in run.judgings.order_by("pk"):
        run_to_end(judging.pk)
        assert check_run(judging.pk) == {}
    run.refresh_from_db()
    assert check_run(run.pk) == {}
    return run


def scores(run: Run, scorer: str = "meaning") -> dict[int, Score]:
    rows = Score.objects.filter(run=run, scorer=scorer).select_related("trial")
    return {score.trial.seq: score for score in rows}


def test_each_response_is_likened_to_its_nearest_reference(
    launched: Launched, embedder: RegisteredModel, stub: StubEndpoint
) -> None:
    stub.set(text="A small red house.")
    run = ended(launched(WORDS, scorers=[SEMANTIC]))
    found = scores(run)
    assert [found[n].passed for n in (1, 2, 3, 4)] == [True, True, False, None]
    assert [found[n].value for n in (1, 2, 3)] == [pytest.approx(1), pytest.approx(0.75), pytest.approx(0)]
    assert found[4].unscored_reason == "the item has no reference"
    assert (found[1].answer, found[1].explanation) == (
        "A small red house.",
        "cosine 1.000 with “a small red house”",
    )
    judging = run.judgings.get()
    assert (judging.status, judging.done, judging.total) == (RunStatus.COMPLETED, 4, 4)
    assert Attempt.objects.filter(run=judging, outcome="ok").count() == 3, "nothing is asked without need"
    assert run.config["scorers"] == [
        {"key": "semantic", "name": "meaning", "title": "Semantic similarity", "judging": judging.pk,
         "model": "embedder", "options": SEMANTIC["options"]}
    ]  # fmt: skip
    assert dict(Trial.objects.filter(run=run).values_list("seq", "passed")) == {
        1: True, 2: True, 3: False, 4: None,
    }  # fmt: skip
    metrics = metrics_json(run)
    assert (metrics["accuracy"]["n"], metrics["mean"]["value"]) == (3, pytest.approx(1.75 / 3))
    assert judging.input_tokens and judging.cost == judging.input_tokens * Decimal("0.001"), (
        "vectors are free"
    )


def test_a_failed_call_is_tried_again_without_buying_the_response_again(
    launched: Launched, embedder: RegisteredModel, stub: StubEndpoint, alpha_access: Access
) -> None:
    """The reference carries the mark, so that only the embedding fails."""
    rows = [
        {"prompt": "1", "references": ["one [[fail:500*1]]"]},
        {"prompt": "2", "references": ["two [[fail:400]]"]},
    ]
    stub.set(text="one")
    run = ended(launched(rows, scorers=[SEMANTIC], max_failures=2))
    judging, found = run.judgings.get(), scores(run)
    outcomes = list(Attempt.objects.filter(run=judging).order_by("pk").values_list("outcome", flat=True))
    assert sorted(outcomes) == ["bad_request", "ok", "server_error"]
    assert found[1].passed is not None
    assert found[2].value is None and found[2].unscored_reason.startswith("the embedding call failed: ")
    assert sum("messages" in body for body in stub.requests) == 2, "each response was bought once"
    run.refresh_from_db()
    assert run.done == 2 and not run.errored
    judging.refresh_from_db()
    run_retry(alpha_access, judging)
    run_to_end(judging.pk)
    assert check_run(run.pk) == {} and scores(run)[2].value is None


def test_beside_other_scorers_the_first_that_asks_nobody_leads(
    launched: Launched, embedder: RegisteredModel, stub: StubEndpoint, judge: Callable[..., JudgeVersion]
) -> None:
    stub.set(script=ScriptedJudge(lambda number, time, body: verdict(label="Wrong")))
    run = ended(launched(3, scorers=[SEMANTIC, {"key": "numeric"}], judges=[judge()], cache=True))
    assert run.scorer_names == ["numeric", "meaning", "classify judge"]
    assert set(Trial.objects.filter(run=run).values_list("passed", flat=True)) == {True}
    assert {score.scorer for score in Score.objects.filter(run=run)} == {*run.scorer_names}
    again = ended(launched(version=run.dataset_version, target=run.model, scorers=[SEMANTIC], cache=True))
    judging = again.judgings.get()
    assert (judging.done, judging.cached) == (3, 3), "what was embedded before is not bought again"
    assert not Attempt.objects.filter(run=judging).exists()


def test_a_ceiling_holds_for_embeddings_too(
    launched: Launched, embedder: RegisteredModel, stub: StubEndpoint
) -> None:
    stub.set(text="a small red house " * 40)
    run = launched(WORDS, scorers=[SEMANTIC], token_ceiling=2000)
    judging = run.judgings.get()
    Run.objects.filter(pk=judging.pk).update(token_ceiling=100)
    run_to_end(run.pk)
    run_to_end(judging.pk)
    judging.refresh_from_db()
    assert judging.status == RunStatus.PAUSED and "ceiling" in judging.status_reason
    assert not Attempt.objects.filter(run=judging, outcome="ok").exists()


def test_deleting_the_judging_takes_the_scorer_off(
    launched: Launched, embedder: RegisteredModel, stub: StubEndpoint, alpha_access: Access
) -> None:
    stub.set(text="A small red house.")
    run = ended(launched(WORDS, scorers=[SEMANTIC]))
    run_delete(alpha_access, run.judgings.get())
    run.refresh_from_db()
    assert run.scorer_names == [] and not Score.objects.filter(run=run).exists()
    assert check_run(run.pk) == {}


@pytest.mark.parametrize("named", ["embedder", "Embedding", "number"])
def test_a_model_is_named_in_any_way(
    launched: Launched, embedder: RegisteredModel, stub: StubEndpoint, named: str
) -> None:
    RegisteredModel.objects.filter(pk=embedder.pk).update(alias="Embedding")
    options = {"model": str(embedder.pk) if named == "number" else named}
    run = launched(2, scorers=[{"key": "semantic", "options": options}])
    assert run.judgings.get().model == embedder


def test_what_cannot_be_asked_is_refused_at_launch(
    alpha_access: Access,
    dataset: Callable[..., DatasetVersion],
    model: Callable[..., RegisteredModel],
    embedder: RegisteredModel,
) -> None:
    chat, version = model(), dataset(2)

    def problems(model_ids: list[int], **options: Any) -> str:
        scorers = [{"key": "semantic", "options": options}]
        wish = Launch(dataset_version_id=version.pk, model_ids=model_ids, scorers=scorers)
        with pytest.raises(LaunchProblems) as caught:
            launch(alpha_access, wish)
        return str(caught.value)

    assert "No active model of this workspace that embeds is named 'stub-model': embedder." in problems(
        [chat.pk], model="stub-model"
    )
    model(name="embedder", embeds=True)
    assert "give a number" in problems([chat.pk], model="embedder")
    assert "model: is required" in problems([chat.pk])
    assert str(embedder.pk) in problems([embedder.pk], model=str(embedder.pk)), "it answers nothing"


def test_the_plan_counts_its_calls(
    alpha_access: Access, dataset: Callable[..., DatasetVersion], model: Callable[..., RegisteredModel],
    embedder: RegisteredModel,
) -> None:  # fmt: skip
    chats = [model(name=name, input_price=1, output_price=1).pk for name in ("one", "two")]
    wish = Launch(
        dataset_version_id=dataset(5).pk, model_ids=chats, scorers=[SEMANTIC], cost_ceiling=Decimal(9)
    )
    plan = launch_plan(alpha_access, wish)
    assert (plan.calls, plan.judge_calls, plan.problems) == (20, 10, {}) and plan.cost
    RegisteredModel.objects.filter(pk=embedder.pk).update(input_price=None)
    assert "embedder" in str(launch_plan(alpha_access, wish).problems["cost_ceiling"])


# Pages


def test_the_sheet_offers_models_that_embed_and_tries_them(
    client: Client, embedder: RegisteredModel, dataset: Callable[..., DatasetVersion],
    model: Callable[..., RegisteredModel],
) -> None:  # fmt: skip
    chat, version = model(), dataset(WORDS)
    page = client.get(f"/w/alpha/runs/launch/?dataset_version={version.pk}").content.decode()
    assert 'name="semantic.model"' in page and '<option value="embedder" selected>' in page
    sheet = {
        "responses": "fresh", "models": [chat.pk], "dataset_version": version.pk, "scorers": ["semantic"],
        "semantic.model": "embedder", "semantic.pass_at": "0.7", "try_source": "typed",
        "try_text": "a small red house",
    }  # fmt: skip
    tried = client.post("/w/alpha/runs/launch/try/", sheet).content.decode()
    assert "cosine 0.750" in tried.lower() and "The item has no reference" in tried
    spend = MonthlySpend.objects.get()
    assert (spend.calls, spend.cost) == (1, Decimal(spend.tokens) / 1000) and spend.tokens
    Workspace.objects.update(monthly_token_ceiling=spend.tokens + 1)
    refused = client.post("/w/alpha/runs/launch/try/", sheet).content.decode()
    assert "ceiling for" in refused and "cosine" not in refused.lower()
    assert MonthlySpend.objects.get().calls == 1
    Workspace.objects.update(monthly_token_ceiling=None)
    unknown = client.post("/w/alpha/runs/launch/try/", sheet | {"semantic.model": "gone"}).content.decode()
    assert "No active model of this workspace that embeds" in unknown
    assert client.post("/w/alpha/runs/launch/", sheet).status_code == 302
    run = Run.objects.get(judged=None)
    assert run.judgings.count() == 1
    again = client.get(f"/w/alpha/runs/launch/?from={run.pk}").content.decode()
    assert 'value="semantic" checked' in again


def test_a_run_shows_what_was_embedded(
    client: Client, launched: Launched, embedder: RegisteredModel, stub: StubEndpoint
) -> None:
    stub.set(text="A small red house.")
    run = ended(launched(WORDS, scorers=[SEMANTIC]))
    judging = run.judgings.get()
    page = client.get(f"/w/alpha/runs/{run.pk}/?item=1").content.decode()
    assert "cosine 1.000 with" in page.lower() and f"/w/alpha/runs/{judging.pk}/?item=1" in page
    assert "Semantic similarity" in page and "by embedder" in page
    asked = client.get(f"/w/alpha/runs/{judging.pk}/?item=1").content.decode()
    assert "The texts that were embedded" in asked and "zebra" in asked
    assert "Nothing had to be embedded" in client.get(f"/w/alpha/runs/{judging.pk}/?item=4").content.decode()


def test_references_go_with_shuffled_choices(
    launched: Launched, embedder: RegisteredModel, stub: StubEndpoint
) -> None:
    rows = [{"prompt": "Where?", "choices": ["Paris", "Rome", "Oslo", "Bern"], "references": ["B"]}]
    orders = [{"key": "shuffle_choices", "options": {"count": 1, "seed": 7}}]
    template = "{{ input }}{% for choice in choices %}{{ choice }}{% endfor %}"
    run = ended(launched(rows, scorers=[SEMANTIC], template=template, variations=orders))
    trials = list(run.trials.select_related("item").order_by("epoch"))
    show_as_asked(run, trials)
    letters = [trial.item.references[0] for trial in trials]
    assert letters[0] == "B" != letters[1]
    found = scores(run)
    assert [f"“{letters[n - 1]}”" in found[n].explanation for n in (1, 2)] == [True, True]
