"""Judges on the launch sheet and on the run's page."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from datasets.models import DatasetVersion
from judges.models import JudgeVersion
from registry.models import RegisteredModel
from runs.engine.host import run_to_end
from runs.models import Run
from tests.runs.scripted_judge import ScriptedJudge, verdict
from tests.stub_endpoint import StubEndpoint
from workspaces.models import User

LAUNCH = "/w/alpha/runs/launch/"
HTMX = {"HX-Request": "true"}
Judges = Callable[..., JudgeVersion]


@pytest.fixture
def client(client_of: Callable[[User], Client], editor: User) -> Client:
    return client_of(editor)


@pytest.fixture
def wish(dataset: Callable[..., DatasetVersion], model: Callable[..., RegisteredModel]) -> dict[str, Any]:
    return {"dataset_version": dataset(10).pk, "models": [model().pk], "responses": "fresh"}


@pytest.mark.django_db
def test_several_judges_are_launched_without_a_scorer(
    client: Client, wish: dict[str, Any], judge: Judges
) -> None:
    first, second = judge(), judge("score")
    sheet = client.get(LAUNCH).content.decode()
    assert sheet.count('name="judges"') == 2 and "classify judge" in sheet
    assert client.post(LAUNCH, wish | {"judges": [first.pk, second.pk]}).status_code == 302
    run = Run.objects.get(judged=None)
    assert run.scorer_names == [first.judge.name, second.judge.name] and run.judgings.count() == 2
    again = client.get(f"{LAUNCH}?from={run.pk}").context["launch_form"]
    assert again.chosen_judges == {str(first.pk), str(second.pk)}


@pytest.mark.django_db
def test_the_forecast_counts_the_calls_of_judges(client: Client, wish: dict[str, Any], judge: Judges) -> None:
    wish["judges"] = [judge().pk, judge("compare").pk]
    wish["opponent"] = "run:1"
    html = client.post(f"{LAUNCH}plan/", wish, headers=HTMX).content.decode()
    assert "<dt>Requests</dt><dd>10</dd>" in html and "30 calls of judge models" in html
    assert "Choose a run of this workspace" in html


@pytest.mark.django_db
def test_a_comparison_has_its_opponent(client: Client, wish: dict[str, Any], judge: Judges) -> None:
    compare = judge("compare")
    client.post(LAUNCH, wish | {"scorers": ["numeric"]})
    other = Run.objects.get()
    wish["judges"] = [compare.pk]
    assert f'value="run:{other.pk}"' in client.get(LAUNCH).content.decode()
    alone = client.post(LAUNCH, wish)
    assert alone.status_code == 422 and "needs a second response" in alone.content.decode()
    assert client.post(LAUNCH, wish | {"opponent": "run:99"}).context["launch_form"].errors["opponent"]
    assert client.post(LAUNCH, wish | {"opponent": f"run:{other.pk}"}).status_code == 302
    assert Run.objects.get(scorer="compare judge").opponent == other
    run = Run.objects.filter(judged=None).latest("pk")
    again = client.get(f"{LAUNCH}?from={run.pk}").context["launch_form"]
    assert again["opponent"].value() == f"run:{other.pk}"


@pytest.mark.django_db
def test_judges_of_another_workspace_are_not_offered(
    wish: dict[str, Any], judge: Judges, client_of: Callable[[User], Client], outsider: User
) -> None:
    assert judge().judge.name not in client_of(outsider).get("/w/beta/runs/launch/").content.decode()


@pytest.fixture
def script(stub: StubEndpoint) -> ScriptedJudge:
    """Item 3 is wrong to the first judge, item 4 has no verdict; scores go from 1 to 5."""

    def said(number: int, time: int, body: dict[str, Any]) -> str:
        if body["model"] == "judge-b":
            return verdict(score=1 + number % 5)
        if number == 4:
            return verdict(label="Perhaps")
        return verdict(label="Wrong" if number == 3 else "Correct")

    script = ScriptedJudge(said)
    stub.set(script=script)
    return script


def finished(run: Run) -> Run:
    run_to_end(run.pk)
    for judging in run.judgings.all():
        run_to_end(judging.pk)
    run.refresh_from_db()
    return run


@pytest.mark.usefixtures("engine", "script")
class TestRunPage:
    @pytest.fixture
    def run(self, launched: Callable[..., Run], judge: Judges) -> Run:
        judges = [judge(), judge("score", models=["judge-b"])]
        return finished(launched(10, judges=judges, max_failures=1))

    def test_the_panel_tells_what_each_judge_said(self, client: Client, run: Run) -> None:
        answer = client.get(f"/w/alpha/runs/{run.pk}/")
        first, second = answer.context["judges"]
        html = answer.content.decode()
        assert (first.headline.correct, first.headline.n, first.sums.unscored) == (8, 9, 1)
        assert first.said.answers == {"Correct": 8, "Wrong": 1} and len(first.said.reasons) == 1
        assert second.headline.n == 10 and second.headline.low is not None
        assert "10.0%</b> of calls without a readable verdict" in html
        assert "88.9%" in html and "classify judge v1" in html and "1 errored" not in html
        assert f'action="/w/alpha/runs/{first.judging.pk}/retry/"' in html

    def test_the_drawer_shows_each_verdict_and_whether_they_agree(self, client: Client, run: Run) -> None:
        html = client.get(f"/w/alpha/runs/{run.pk}/?item=3").content.decode()
        assert "Wrong</span>" in html and "Because." in html and "1 of 2 judges pass it." in html
        assert f'/w/alpha/runs/{run.judgings.earliest("pk").pk}/?item=3"' in html
        unread = client.get(f"/w/alpha/runs/{run.pk}/?item=4").content.decode()
        assert "none of those it was given" in unread

    def test_a_judging_has_a_page_of_its_own(self, client: Client, run: Run) -> None:
        judging = run.judgings.earliest("pk")
        html = client.get(f"/w/alpha/runs/{judging.pk}/?item=3").content.decode()
        assert f'/w/alpha/runs/{run.pk}/">run #{run.pk}</a>' in html and "ANSWER: 6" in html
        assert client.get("/w/alpha/runs/?q=judge-a").context["archive_count"] == 0

    def test_items_are_filtered_by_a_judges_verdict(self, client: Client, run: Run) -> None:
        def shown(query: str) -> tuple[list[int], int]:
            context = client.get(f"/w/alpha/runs/{run.pk}/{query}").context
            return [trial.seq for trial in context["trials"].rows], context["items_count"]

        assert shown("?by=classify+judge&verdict=incorrect") == ([3], 1)
        assert shown("?by=classify+judge&verdict=unscored") == ([4], 1)
        assert shown("?by=score+judge&verdict=correct") == ([3, 4, 8, 9], 4)
        assert shown("?by=unknown&verdict=correct")[1] == 10

    def test_a_judge_is_added_to_a_finished_run(
        self, client: Client, run: Run, judge: Judges, script: ScriptedJudge
    ) -> None:
        asked = script.calls("stub-model")
        third = judge(name="third")
        assert "Add a judge" in client.get(f"/w/alpha/runs/{run.pk}/").content.decode()
        assert client.post(f"/w/alpha/runs/{run.pk}/judges/", {"judge": third.pk}).status_code == 302
        board = client.get("/w/alpha/runs/")
        card = next(card for card in board.context["cards"] if card.run == run)
        assert (card.shown_status, card.judging.done, card.judging.total) == ("judging", 0, 10)
        assert "Judging 0 of 10" in board.content.decode()
        finished(run)
        assert script.calls("stub-model") == asked
        assert "Judging" not in client.get("/w/alpha/runs/").content.decode()

    def test_what_cannot_be_added_is_said(self, client: Client, run: Run, judge: Judges) -> None:
        url = f"/w/alpha/runs/{run.pk}/judges/"
        for data, words in (
            ({}, "Choose a judge"),
            ({"judge": judge("compare").pk}, "choose the run with the other responses"),
        ):
            assert words in client.post(url, data, follow=True).content.decode()

    def test_only_editors_add_judges(
        self, run: Run, judge: Judges, client_of: Callable[[User], Client], viewer: User, outsider: User
    ) -> None:
        url, data = f"/w/alpha/runs/{run.pk}/judges/", {"judge": judge(name="x").pk}
        assert client_of(viewer).post(url, data).status_code == 403
        assert client_of(outsider).post(url, data).status_code == 404
        assert "Add a judge" not in client_of(viewer).get(f"/w/alpha/runs/{run.pk}/").content.decode()


@pytest.mark.usefixtures("engine")
def test_a_comparison_shows_both_orders(
    client: Client, launched: Callable[..., Run], judge: Judges, stub: StubEndpoint, dataset: Any
) -> None:
    """A wins item 1 in both orders; item 2 goes to whichever is shown first, so it is a tie."""

    def said(number: int, time: int, body: dict[str, Any]) -> str:
        return verdict(winner="A" if number == 2 or time == 1 else "B")

    stub.set(script=ScriptedJudge(said))
    version = dataset(2)
    other = finished(launched(version=version))
    run = launched(version=version, judges=[judge("compare")], opponent_run_id=other.pk)
    run = finished(run)
    row = client.get(f"/w/alpha/runs/{run.pk}/").context["judges"][0]
    assert row.said.answers == {"A": 1, "tie": 1} and row.said.flags["flipped"] == 1
    assert row.headline.value == 0.75 and row.sign_p == 1.0
    html = client.get(f"/w/alpha/runs/{run.pk}/?item=2").content.decode()
    assert "A first" in html and "B first" in html and "Changed with the order." in html
    tied = client.get(f"/w/alpha/runs/{run.pk}/?by=compare+judge&verdict=tied").context["trials"].rows
    assert [trial.seq for trial in tied] == [2]
