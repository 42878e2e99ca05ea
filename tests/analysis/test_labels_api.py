"""People's labels over the API and as files: kept, listed, blind until one's own, taken away."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from analysis.exports_labels import COLUMNS
from analysis.models import HumanLabel, ReviewSample
from analysis.selectors_labels import label_rows, labels_in
from judges.models import JudgeVersion
from runs.models import Run
from tests.analysis.conftest import Made
from tests.analysis.test_exports import bearer
from workspaces.models import User

ClientOf = Callable[[User], Client]
LABELS, SAMPLES = "/api/v1/labels", "/api/v1/review-samples"


@pytest.fixture
def run(judged_run: Made, dataset: Any, judge: JudgeVersion) -> Run:
    return judged_run(dataset(8), judge, [1, 0] * 3 + ["unscored", "errored"])


def post(client: Client, url: str, **body: Any) -> Any:
    return client.post(url, json.dumps(body), content_type="application/json")


def rows_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(b"".join(answer.streaming_content).decode())))


def test_a_script_labels_and_reads(run: Run, judge: JudgeVersion, editor: User) -> None:
    client = bearer(editor, "alpha")
    known = {"judge_id": judge.judge_id, "run_id": run.pk, "seq": 2}
    made = post(client, LABELS, **known, answer="correct", comment="Yes.")
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["answer"], body["passed"], body["person"], body["comment"]) == (
        "Correct", True, editor.email, "Yes.",
    )  # fmt: skip
    assert (body["item_id"], body["response"], body["judge_answer"], body["blind"]) == (
        run.trials.get(seq=2).item.external_id, "It is Wrong", "Wrong", False,
    )  # fmt: skip
    assert post(client, LABELS, **known, answer="Wrong").json()["id"] == body["id"]
    assert HumanLabel.objects.get().answer == "Wrong"
    refused = post(client, LABELS, **known, answer="Perhaps")
    assert refused.status_code == 400 and "no answer “Perhaps”" in refused.content.decode()
    assert post(client, LABELS, **known | {"seq": 99}, answer="Wrong").status_code == 404
    assert client.get(f"{LABELS}?run={run.pk}&judge={judge.judge_id}").json()["results"][0]["seq"] == 2
    assert client.get(f"{LABELS}?run={run.pk + 1}").json()["results"] == []


@pytest.mark.parametrize(
    "url", ["labels?judge", "labels?run", "runs?dataset", "runs?model", "models?provider"]
)
def test_a_number_with_a_billion_digits_is_refused_before_it_is_written_out(url: str, viewer: User) -> None:
    refused = bearer(viewer, "alpha").get(f"/api/v1/{url}=-1e999999999")
    assert refused.status_code == 400, refused.content


def test_verdicts_stay_blind_until_ones_own_label(
    run: Run, judge: JudgeVersion, say: Any, editor: User, viewer: User
) -> None:
    say(run, judge, ["Correct", "Correct"])
    reader = bearer(viewer, "alpha")
    assert [row["judge_answer"] for row in reader.get(LABELS).json()["results"]] == [None, None]
    told = reader.get(f"{LABELS}?unblind=true&person={editor.email}").json()["results"]
    assert [(row["judge_answer"], row["blind"]) for row in told] == [("Correct", False), ("Wrong", False)]
    own = bearer(editor, "alpha").get(LABELS).json()["results"]
    assert [row["judge_passed"] for row in own] == [True, False]
    assert post(reader, LABELS, judge_id=1, run_id=1, seq=1, answer="Wrong").status_code == 403


def test_files(
    run: Run, judge: JudgeVersion, say: Any, editor: User, viewer: User, client_of: ClientOf
) -> None:
    say(run, judge, ["Correct", "", "Wrong"])
    HumanLabel.objects.filter(trial__seq=3).update(comment="=1+1")
    api, page = f"{LABELS}/export", "/w/alpha/review/export/"
    client, reader = bearer(editor, "alpha"), client_of(viewer)
    rows = rows_of(client.get(f"{api}/csv"))
    assert tuple(rows[0]) == COLUMNS and [row["seq"] for row in rows] == ["1", "3"]
    assert (rows[1]["comment"], rows[1]["judge_answer"], rows[1]["passed"]) == ("'=1+1", "Correct", "false")
    lossless = json.loads(b"".join(client.get(f"{api}/json").streaming_content))["labels"]
    assert lossless[1]["comment"] == "=1+1" and tuple(lossless[0]) == COLUMNS
    assert [row["judge_answer"] for row in rows_of(reader.get(f"{page}?judge={judge.judge_id}"))] == ["", ""]
    assert rows_of(reader.get(f"{page}?run={run.pk}&unblind=1"))[0]["judge_answer"] == "Correct"
    assert reader.get(f"{page}?kind=xml").status_code == 422
    assert reader.get(f"{page}?judge=99").status_code == 404
    assert "Take labels away" in reader.get("/w/alpha/review/").content.decode()


def test_samples_are_drawn_and_read(
    run: Run, judge: JudgeVersion, say: Any, editor: User, viewer: User
) -> None:
    say(run, judge, ["Correct"])
    client = bearer(editor, "alpha")
    wanted = {"judge_id": judge.judge_id, "run_id": run.pk, "size": 3}
    made = post(client, SAMPLES, **wanted, assignee=editor.email)
    assert made.status_code == 201 and made.json()["assignee"] == editor.email
    found = client.get(f"{SAMPLES}/{made.json()['id']}").json()
    assert len(found["responses"]) == 3 and 1 not in [each["seq"] for each in found["responses"]]
    first = found["responses"][0]
    assert [each["answer"] for each in first["answers"]] == ["Correct", "Wrong"] and first["own"] == ""
    assert "judge_answer" not in first and first["responses"][0].startswith("It is")
    post(client, LABELS, judge_id=judge.judge_id, run_id=run.pk, seq=first["seq"], answer="Wrong")
    (row,) = client.get(SAMPLES).json()["results"]
    assert row["labelled"] == 1
    assert client.get(f"{SAMPLES}/{row['id']}").json()["responses"][0]["own"] == "Wrong"
    assert post(client, SAMPLES, **wanted, assignee="nobody@x.example").status_code == 400
    assert post(client, SAMPLES, **wanted | {"size": 501}).status_code == 400
    assert post(bearer(viewer, "alpha"), SAMPLES, **wanted).status_code == 403


def test_outsiders_see_nothing(
    run: Run, judge: JudgeVersion, say: Any, outsider: User, client_of: ClientOf
) -> None:
    say(run, judge, ["Correct"])
    sample = ReviewSample.objects.create(workspace=run.workspace, judge=judge.judge, run=run, size=1, seed=1)
    foreign = bearer(outsider, "beta")
    assert (
        foreign.get(f"{LABELS}?unblind=1").json()["results"] == foreign.get(SAMPLES).json()["results"] == []
    )
    assert foreign.get(f"{SAMPLES}/{sample.pk}").status_code == 404
    body = {"judge_id": judge.judge_id, "run_id": run.pk}
    assert post(foreign, LABELS, **body, seq=1, answer="Wrong").status_code == 404
    assert post(foreign, SAMPLES, **body).status_code == 404
    assert rows_of(client_of(outsider).get("/w/beta/review/export/?unblind=1")) == []


def test_many_labels_take_as_many_queries_as_few(
    run: Run,
    judge: JudgeVersion,
    say: Any,
    viewer: User,
    editor: User,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    say(run, judge, ["Correct", "Wrong"] * 3)
    with django_assert_num_queries(4):
        rows = list(label_rows(labels_in(run.workspace), editor, unblind=False))
    assert len(rows) == 6 and all(row.version == 1 for row in rows)
