"""The pages of benchmarks: what each tab shows, who may do what, and what it costs in queries."""

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zipfile import ZipFile

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks.models import Benchmark, BenchmarkEvaluation, EvaluationTask
from benchmarks.prose import rendered
from benchmarks.wish import PhaseWish
from datasets.models import DatasetVersion
from runs.engine.host import run_to_end
from runs.models import Evaluation, Run
from workspaces.models import User

Recorded = Callable[..., DatasetVersion]
On = Callable[..., Benchmark]
Evaluated = Callable[..., BenchmarkEvaluation]
ClientOf = Callable[[User], Client]
BASE = "/w/alpha/benchmarks/"


def page_of(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode()


def page(client: Client, path: str = "", status: int = 200) -> str:
    answer = client.get(BASE + path)
    assert answer.status_code == status
    whole = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
    return str(whole.decode())


def test_a_new_workspace_is_told_the_next_step(client_of: ClientOf, editor: User, viewer: User) -> None:
    assert "New benchmark" in page(client_of(editor))
    assert "An editor of this workspace can make one" in page(client_of(viewer))


def form_of(version: DatasetVersion, **values: Any) -> dict[str, Any]:
    return {
        "name": "Sums", "summary": "# Adds\n\nUp to <b>ten</b>.",
        "part-TOTAL_FORMS": 1, "part-INITIAL_FORMS": 1, "phase-TOTAL_FORMS": 0,
        "phase-INITIAL_FORMS": 0, "part-0-version": version.pk,
        "part-0-scorer": "numeric", "part-0-measure": "share", "part-0-weight": "1",
    } | values  # fmt: skip


def test_made_in_the_portal_and_changed(
    recorded: Recorded, client_of: ClientOf, editor: User, viewer: User
) -> None:
    version, client = recorded({"a": [1, 0]}), client_of(editor)
    assert "Part 1" in page(client, f"new/?dataset_version={version.pk}")
    more = client.post(f"{BASE}new/", form_of(version, add="part"))
    assert more.status_code == 200 and "Part 2" in more.content.decode()
    wrong = client.post(
        f"{BASE}new/", form_of(version, **{"part-0-scorer": "bleu", "part-0-measure": "mean"})
    )
    assert wrong.status_code == 302
    Benchmark.objects.all().delete()
    bad = client.post(f"{BASE}new/", form_of(version, **{"part-0-weight": "0", "name": ""}))
    assert bad.status_code == 422 and "A number above 0" not in bad.content.decode()
    made = client.post(f"{BASE}new/", form_of(version))
    benchmark = Benchmark.objects.get()
    assert made.status_code == 302 and benchmark.slug == "sums" and benchmark.owner == editor
    html = page(client_of(viewer), f"{benchmark.pk}/")
    assert "<h3>Adds</h3>" in html and "<b>ten" not in html and "100.0%" in html
    phased = form_of(
        version,
        **{
            "phase-TOTAL_FORMS": 1,
            "phase-0-name": "Final",
            "phase-0-limit": "1",
            "phase-0-most_per": "model",
        },
    )
    assert client.post(f"{BASE}{benchmark.pk}/edit/", phased).status_code == 302
    shown = page(client, f"{benchmark.pk}/phases/")
    assert "Final" in shown and "Current" in shown and "±" in shown
    assert 'value="Final"' in page(client, f"{benchmark.pk}/edit/")


def test_mixed_scales_are_refused_in_words(recorded: Recorded, client_of: ClientOf, editor: User) -> None:
    version = recorded({"a": [1, 0]})
    second = {
        "part-TOTAL_FORMS": 2, "part-1-version": version.pk, "part-1-scorer": "bleu",
        "part-1-measure": "mean", "part-1-weight": "2",
    }  # fmt: skip
    answer = client_of(editor).post(f"{BASE}new/", form_of(version, **second))
    assert answer.status_code == 422
    assert "Mixed scales: part 1 counts on 0–1, part 2 counts on 0–100" in answer.content.decode()
    assert not Benchmark.objects.exists()


def test_the_summary_is_safe() -> None:
    text = "[x](javascript:alert(1)) <script>alert(1)</script> ![i](/i.png) **b**\n\n|a|\n|-|\n|1|"
    html = str(rendered(text))
    assert "<script" not in html and "javascript:" not in html.split("href")[-1] and "<img" not in html
    assert "<strong>b</strong>" in html and "<table>" in html


def test_evaluate_by_source_then_the_breakdown_in_the_logs_place(
    recorded: Recorded,
    benchmark_on: On,
    client_of: ClientOf,
    editor: User,
    viewer: User,
    model: Any,
    engine: None,
) -> None:
    benchmark = benchmark_on(recorded({"a": [1, 0, 1, 1]}))
    model(source="running", alias="runner")
    client, path = client_of(editor), f"{benchmark.pk}/evaluate/"
    assert "runner" in page(client, f"{path}?source=running")
    assert "No model of this source" in page(client, f"{path}?source=trained")
    assert page(client_of(viewer), path, 403)
    nothing = client.post(BASE + path, {})
    assert "Choose an active model" in nothing.content.decode()
    client.post(f"{BASE}{path}?source=recorded", {"model": "recorded:a"})
    row = BenchmarkEvaluation.objects.get()
    run = row.evaluation.runs.get()
    live = page(client, f"evaluations/{row.pk}/")
    assert f'id="run-{run.pk}-log"' in live and f"view=run&amp;run={run.pk}" in live
    assert 'hx-trigger="every 2s"' in page(client, f"evaluations/{row.pk}/live/?run={run.pk}")
    assert client.get(f"{BASE}evaluations/{row.pk}/live/?run=1").headers.get("HX-Refresh") in (None, "true")
    run_to_end(run.pk)
    arrived = page(client, f"evaluations/{row.pk}/live/?run={run.pk}")
    assert 'id="evaluation-log" hx-swap-oob="delete"' in arrived and "[30.1, 95.4]" in arrived
    with CaptureQueriesContext(connection) as caught:
        html = page(client, f"evaluations/{row.pk}/")
    assert "75.0" in html and "Answer rate" in html and "submission.json" in html and "i2" in html
    assert len(caught) <= 16, len(caught)
    assert (
        "i1" not in page(client, f"evaluations/{row.pk}/?verdict=incorrect").split('id="evaluation-items"')[1]
    )


def test_files(
    recorded: Recorded, benchmark_on: On, evaluated: Evaluated, client_of: ClientOf, viewer: User
) -> None:
    row = evaluated(benchmark_on(recorded({"a": [1, 0]})), "a")
    client, base = client_of(viewer), f"evaluations/{row.pk}/files/"
    assert json.loads(page(client, f"{base}submission/"))["configuration"]["parts"][0]["primary"] == "numeric"
    results = json.loads(page(client, f"{base}results/"))
    assert results["overall"]["value"] == 50.0 and results["overall"]["n"] == 2
    assert [(each["id"], each["gold"], each["prediction"], each["correct"]) for each in results["items"]] == [
        ("i1", ["1"], "1", True),
        ("i2", ["2"], "0.5", False),
    ]
    assert "<td>i1</td><td>1</td><td>1</td><td>yes</td>" in page(client, f"{base}html/")
    answer = client.get(f"{BASE}{base}zip/")
    with ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:  # type: ignore[attr-defined]
        assert len(archive.namelist()) == 5
    assert page(client, f"{base}nothing/", 404)


def test_lists_and_exports(
    recorded: Recorded,
    benchmark_on: On,
    evaluated: Evaluated,
    client_of: ClientOf,
    viewer: User,
    editor: User,
) -> None:
    benchmark = benchmark_on(recorded({"a": [1, 1, 0], "b": [1, 0, 0]}))
    for name in "ab":
        evaluated(benchmark, name)
    client = client_of(viewer)
    page(client)  # the session then remembers the workspace
    for path, most in (("", 12), (f"{benchmark.pk}/evaluations/", 14), (f"{benchmark.pk}/leaderboard/", 18)):
        with CaptureQueriesContext(connection) as caught:
            page(client, path)
        assert len(caught) <= most, (path, len(caught))
    assert "a</a>" not in page(client, f"{benchmark.pk}/evaluations/?q=b").split("<tbody>")[1]
    assert "No evaluation matches" in page(client, f"{benchmark.pk}/evaluations/?status=failed")
    assert "No evaluation matches" in page(client, f"{benchmark.pk}/evaluations/?q=somebody-else")
    assert "b</a>" in page(client, f"{benchmark.pk}/evaluations/?q={editor.email}")
    lines = page(client, f"{benchmark.pk}/leaderboard/?as=csv").splitlines()
    assert lines[0].startswith("rank,model,overall,low,high,n") and lines[1].startswith("1–2,a,66.6")
    board = json.loads(page(client, f"{benchmark.pk}/leaderboard/?as=json"))
    assert [row["rank_worst"] for row in board["rows"]] == [2, 2]


def test_baseline_and_typed_delete(
    recorded: Recorded, benchmark_on: On, evaluated: Evaluated, client_of: ClientOf, editor: User
) -> None:
    row = evaluated(benchmark_on(recorded({"a": [1, 0]})), "a")
    client, base = client_of(editor), f"{BASE}evaluations/{row.pk}/"
    client.post(f"{base}baseline/")
    assert "Baseline" in page(client, f"{row.benchmark_id}/leaderboard/")
    assert client.post(f"{base}delete/", {"confirm": "delete"}).status_code == 422
    assert client.post(f"{base}delete/", {"confirm": f"delete {row.pk}"}).status_code == 302
    assert not BenchmarkEvaluation.objects.exists() and not Run.objects.exists()
    assert not Evaluation.objects.exists()
    answer = client.post(f"{BASE}{row.benchmark_id}/delete/", {"confirm": "delete sums"})
    assert answer.status_code == 302 and not Benchmark.objects.exists()


def test_phases_keep_their_windows_and_limits(
    recorded: Recorded, benchmark_on: On, client_of: ClientOf, editor: User
) -> None:
    now, day = timezone.now(), timedelta(days=1)
    benchmark = benchmark_on(
        recorded({"a": [1, 0, 1, 1]}),
        phases=[
            PhaseWish(name="Past", ends_at=now - day),
            PhaseWish(name="Now", starts_at=now - day, limit=2, sections=["odd"], most_runs=1),
            PhaseWish(name="Later", starts_at=now + day),
        ],
    )
    past, _, later = benchmark.phases.all()
    client, path = client_of(editor), f"{BASE}{benchmark.pk}/evaluate/"
    post = {"model": "recorded:a"}
    assert "closed on" in client.post(path, post | {"phase": past.pk}).content.decode()
    assert "opens on" in client.post(path, post | {"phase": later.pk}).content.decode()
    assert client.post(path, post).status_code == 302
    run = Run.objects.get()
    assert [trial.item.external_id for trial in run.trials.select_related("item")] == ["i1", "i3"]
    assert "takes 1 evaluation of this model; 1 are made" in client.post(path, post).content.decode()
    assert Run.objects.count() == 1


def test_the_public_link(
    recorded: Recorded, benchmark_on: On, evaluated: Evaluated, client_of: ClientOf, owner: User, editor: User
) -> None:
    benchmark = benchmark_on(recorded({"a": [1, 0]}))
    evaluated(benchmark, "a")
    assert client_of(editor).post(f"{BASE}{benchmark.pk}/publish/").status_code == 403
    client_of(owner).post(f"{BASE}{benchmark.pk}/publish/")
    token = Benchmark.objects.get().public_token
    answer = Client().get(f"/shared/benchmarks/{token}/")
    html = answer.content.decode()
    assert (
        "Leaderboard" in html
        and "/w/alpha" not in html
        and answer.headers["Referrer-Policy"] == "no-referrer"
    )
    assert "@example.com" not in html and ">By<" not in html
    told = json.loads(page_of(Client().get(f"/shared/benchmarks/{token}/?as=json")))
    assert told["unranked"] == [] and told["rows"][0]["model"] == "a"
    client_of(owner).post(f"{BASE}{benchmark.pk}/publish/", {"public": "0"})
    assert Client().get(f"/shared/benchmarks/{token}/").status_code == 404
    assert Client().get("/shared/benchmarks//").status_code == 404


def test_several_benchmarks_and_models_at_once(
    recorded: Recorded, benchmark_on: On, client_of: ClientOf, editor: User, engine: None, model: Any
) -> None:
    first, second = (
        benchmark_on(recorded({"a": [1]}), name="One"),
        benchmark_on(recorded({"a": [0]}), name="Two"),
    )
    client = client_of(editor)
    assert "Two" in page(client, "together/")
    assert client.post(f"{BASE}together/", {"benchmark": [first.pk]}).status_code == 422
    chosen = [model(alias="x").pk, model(alias="y").pk]
    client.post(f"{BASE}together/", {"benchmark": [first.pk, second.pk], "model": chosen})
    task = EvaluationTask.objects.get()
    assert task.evaluations.count() == 4
    html = page(client, f"tasks/{task.pk}/")
    assert 'hx-trigger="every 3s"' in html and "Configuration" in html and "One" in html
    for run_id in Run.objects.values_list("pk", flat=True):
        run_to_end(run_id)
    with CaptureQueriesContext(connection) as caught:
        done = page(client, f"tasks/{task.pk}/")
    assert "every 3s" not in done and len(caught) <= 12, len(caught)
    assert client.get(f"{BASE}tasks/{task.pk}/download/").status_code == 200
    client.post(f"{BASE}tasks/{task.pk}/delete/", {"confirm": f"delete {task.pk}"})
    assert not Run.objects.exists() and not EvaluationTask.objects.exists()


def test_an_archived_benchmark_takes_nothing(
    recorded: Recorded, benchmark_on: On, client_of: ClientOf, editor: User
) -> None:
    benchmark, client = benchmark_on(recorded({"a": [1, 0]})), client_of(editor)
    client.post(f"{BASE}{benchmark.pk}/archive/")
    answer = client.post(f"{BASE}{benchmark.pk}/evaluate/", {"model": "recorded:a"})
    assert "is archived" in answer.content.decode()
    assert "Sums" not in page(client).split("</nav>")[-1] and "Sums" in page(client, "?archived=1")
