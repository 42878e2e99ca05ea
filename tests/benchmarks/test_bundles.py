"""Bundles: out and in again alike, limits, Codabench's shape, and nothing left of a refused one."""

import io
import json
from collections.abc import Callable
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import yaml
from django.test import Client

from benchmarks.bundles.archive import Archive, BadBundle
from benchmarks.bundles.writing import bundle
from benchmarks.models import Benchmark
from benchmarks.selectors import parts_of
from benchmarks.services.importing import bundle_import
from benchmarks.wish import BenchmarkProblems, PhaseWish
from datasets.models import Dataset, DatasetVersion, Item
from workspaces.access import Access, access_for
from workspaces.models import Role, User
from workspaces.services import token_create

pytestmark = pytest.mark.django_db
Recorded = Callable[..., DatasetVersion]


def zipped(**files: str | bytes) -> io.BytesIO:
    held = io.BytesIO()
    with ZipFile(held, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    held.seek(0)
    return held


def test_out_and_in_again(
    held: Access, outsider: User, recorded: Recorded, benchmark_on: Callable[..., Benchmark]
) -> None:
    made = benchmark_on(
        recorded({"a": [1, 0]}, name="First"), recorded({"a": [1]}, "x", name="Second"),
        weights=(2, 1), phases=[PhaseWish(name="Final", limit=1, most_runs=3)],
    )  # fmt: skip
    data = b"".join(bundle(made, list(parts_of(made))))
    other = access_for(outsider, "beta", Role.OWNER)
    found = bundle_import(other, io.BytesIO(data))
    assert not found.left_out and found.benchmark.slug == "sums"
    there = [
        (p.version.dataset.name, p.version.item_count, p.weight, p.primary) for p in parts_of(found.benchmark)
    ]
    assert there == [("First", 2, 2.0, "numeric"), ("Second", 1, 1.0, "numeric")]
    assert found.benchmark.phases.get().most_runs == 3
    again = bundle_import(other, io.BytesIO(data))
    assert (
        again.benchmark.name == "Sums (2)" and Dataset.objects.filter(workspace=other.workspace).count() == 2
    )


def test_over_the_api(
    editor: User, recorded: Recorded, benchmark_on: Callable[..., Benchmark], held: Access
) -> None:
    made = benchmark_on(recorded({"a": [1, 0]}))
    _, secret = token_create(held, name="t", role=Role.EDITOR, expires_at=None)
    client = Client(headers={"authorization": f"Bearer {secret}"})
    data = b"".join(client.get(f"/api/v1/benchmarks/{made.pk}/bundle").streaming_content)  # type: ignore[attr-defined]
    file = io.BytesIO(data)
    file.name = "b.zip"
    answer = client.post("/api/v1/benchmarks/import", {"file": file, "name": "Copy"})
    assert answer.status_code == 201 and answer.json()["benchmark"]["name"] == "Copy"
    part = {"version_id": made.parts.get().version_id, "scorers": [{"key": "numeric"}]}
    post = {"content_type": "application/json"}
    created = client.post("/api/v1/benchmarks", json.dumps({"name": "By API", "parts": [part]}), **post)
    assert created.status_code == 201 and created.json()["parts"][0]["primary"] == "numeric"
    wrong = client.post("/api/v1/benchmarks", json.dumps({"name": "By API", "parts": []}), **post)
    assert wrong.status_code == 400 and "There is a benchmark of this name" in wrong.content.decode()
    pk = created.json()["id"]
    evaluated = client.post(f"/api/v1/benchmarks/{pk}/evaluate", json.dumps({"recorded_name": "a"}), **post)
    assert evaluated.status_code == 202 and evaluated.json()["overall"]["value"] is None
    assert (
        client.get(f"/api/v1/benchmarks/{pk}/leaderboard").json()["unranked"][0]["reason"] == "still going on"
    )
    assert client.get(f"/api/v1/benchmark-evaluations?benchmark={pk}").json()["results"]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"x": "1"}, "neither benchmark.yaml nor competition.yaml"),
        ({"benchmark_dot_yaml": "a: &a 1\nb: *a"}, "aliases"),
        ({"benchmark_dot_yaml": "!!python/object/apply:os.system [id]"}, "not readable YAML"),
        ({"benchmark_dot_yaml": "[1]"}, "not a mapping"),
        ({"benchmark_dot_yaml": "format: other"}, "not of format"),
        ({"benchmark_dot_yaml": "0" * 3_000_000}, "times smaller"),
        ({"competition_dot_yaml": "title: x\ntasks: []"}, "No task of this bundle"),
    ],
)
def test_what_is_refused(held: Access, files: dict[str, str], why: str) -> None:
    with pytest.raises(BadBundle, match=why):
        bundle_import(held, zipped(**files))
    assert not Dataset.objects.exists()


def test_no_zip_too_many_files_and_paths(held: Access) -> None:
    with pytest.raises(BadBundle, match="not a zip"):
        bundle_import(held, io.BytesIO(b"no zip"))
    with pytest.raises(BadBundle, match="more than 500"):
        bundle_import(held, zipped(**{f"f{at}": "x" for at in range(501)}))
    with pytest.raises(BadBundle, match="larger than"):
        Archive(zipped(a="x" * 100), most_bytes=10)


def test_a_refused_benchmark_leaves_no_dataset(held: Access) -> None:
    told = {
        "format": "evalportal-benchmark", "format_version": 1, "name": "B",
        "parts": [{"dataset": "D", "data": "d.jsonl", "scorers": [{"key": "no_such"}]}],
    }  # fmt: skip
    file = zipped(
        **{"benchmark_dot_yaml": yaml.safe_dump(told), "d_dot_jsonl": '{"prompt": "q", "references": ["a"]}'}
    )
    with pytest.raises(BenchmarkProblems, match="no scorer named"):
        bundle_import(held, file)
    assert not Dataset.objects.exists() and not Benchmark.objects.exists()


def test_codabench_maps_what_it_can(held: Access) -> None:
    told: dict[str, Any] = {
        "version": 2, "title": "Words", "description": "About words.", "terms": "terms.md",
        "image": "logo.png", "docker_image": "img",
        "pages": [{"title": "Rules", "file": "rules.md"}, {"title": "Web", "file": "w.html"}],
        "tasks": [
            {"index": 0, "name": "Lines", "input_data": "in.zip", "reference_data": "ref.zip",
             "scoring_program": "score.zip"},
            {"index": 1, "name": "Table", "reference_data": "ref2"},
            {"index": 2, "name": "Pictures", "input_data": "pics.zip"},
            {"index": 3, "name": "Two tables", "input_data": "in3", "reference_data": "ref3"},
        ],
        "phases": [{"name": "Dev", "start": "2030-01-01", "end": "2030-02-01", "max_submissions": 5,
                    "max_submissions_per_day": 2, "tasks": [0]}],
        "leaderboards": [{"title": "R", "columns": []}], "solutions": [{"path": "s"}],
    }  # fmt: skip
    file = zipped(
        competition_dot_yaml=yaml.safe_dump(told), rules_dot_md="Be *fair*.", w_dot_html="<p>",
        in_dot_zip=zipped(q_dot_txt="2+2?\n3+3?\n").read(), ref_dot_zip=zipped(a_dot_txt="4\n6\n").read(),
        ref2__t_dot_csv="question,answer\nCapital of France?,Paris\n",
        pics_dot_zip=zipped(a_dot_png="x").read(),
        in3__t_dot_csv='topic,id,question\nx,1,"1+1,\nor?"\nx,2,2+2?\nx,3,?\n',
        ref3__t_dot_jsonl='{"id": 2, "answer": "4"}\n{"id": 1, "answer": "2"}\n',
        score_dot_zip=zipped(score_dot_py="import os").read(),
    )  # fmt: skip
    found = bundle_import(held, file)
    parts = [(p.version.dataset.name, p.version.item_count, p.primary) for p in parts_of(found.benchmark)]
    assert parts == [(name, n, "exact_match") for name, n in (("Lines", 2), ("Table", 1), ("Two tables", 2))]
    joined = Item.objects.filter(version__dataset__name="Two tables").order_by("position")
    assert [(item.prompt, item.references) for item in joined] == [("1+1,\nor?", ["2"]), ("2+2?", ["4"])]
    phase = found.benchmark.phases.get()
    assert (phase.name, phase.state, phase.most_runs, phase.most_per) == ("Dev", "next", 5, "person")
    assert "Be *fair*." in found.benchmark.summary
    told_words = " ".join(found.left_out)
    for words in ("scoring program is not run", "terms", "picture", "container", "page Web", "limit a day",
                  "leaderboard columns", "solutions", "Pictures: no text items",
                  "Two tables: 1 of 3 rows"):  # fmt: skip
        assert words in told_words, words


def test_on_the_page(held: Access, client_of: Callable[[User], Client], editor: User) -> None:
    client = client_of(editor)
    bad = client.post("/w/alpha/benchmarks/import/", {"file": io.BytesIO(b"x")})
    assert bad.status_code == 422 and "not a zip file" in bad.content.decode()
    assert client.post("/w/alpha/benchmarks/import/").status_code == 422
