"""The bench programs from end to end on tiny sizes: that they run and check, not how fast anything is."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import imports
from bench.rows import Cell, Row, median
from bench.targets import findings
from datasets.checking import check_file
from datasets.mapping import Mapping
from tests.services import ROOT, environment

KEYS = {
    "case", "database", "workers", "latency_ms", "in_flight", "items", "items_per_second",
    "window_items_per_second", "cpu_s_per_1000", "rss_mb", "ratio_to_bare_loop", "repetitions",
    "machine", "at",
}  # fmt: skip


def bench(tmp_path: Path, module: str, *arguments: str) -> tuple[list[dict[str, Any]], str]:
    """The lines that were kept, and what was printed."""
    kept = tmp_path / "bench.jsonl"
    env = environment({"EVALPORTAL_DATA": str(tmp_path), "DATABASE_URL": "", "REDIS_URL": ""})
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments, "--output", str(kept)],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in kept.read_text().splitlines()], done.stdout


def test_embedded_engine_beside_both_bare_loops(tmp_path: Path) -> None:
    lines, said = bench(
        tmp_path, "bench", "--items", "100", "--repetitions", "2", "--latency-ms", "5", "--in-flight", "16",
        "--cases", "bare,client,sqlite",
    )  # fmt: skip
    assert [line["case"] for line in lines] == ["bare", "client", "engine"]
    for line in lines:
        assert set(line) >= KEYS and line["repetitions"] == 2
        assert line["window_items_per_second"] >= line["items_per_second"] > 0
        assert line["rss_mb"] > 30 and line["cpu_s_per_1000"] > 0
    assert lines[0]["ratio_to_bare_loop"] == 1
    assert "engine, sqlite, 1 worker" in said and "limit 3,200 items/s" in said
    assert "not measured" in said and "of concurrency / latency" in said


@pytest.mark.services
def test_scaled_engine_and_naive_worker(tmp_path: Path) -> None:
    lines, said = bench(
        tmp_path, "bench", "--items", "60", "--repetitions", "1", "--latency-ms", "5", "--in-flight", "8",
        "--cases", "postgres-2,naive",
    )  # fmt: skip
    assert [(line["case"], line["database"], line["workers"]) for line in lines] == [
        ("engine", "postgres", 2),
        ("naive", "postgres", 1),
    ]
    assert lines[0]["postgres_cpu_s_per_1000"] >= 0
    assert "fsync=off" in said


def test_growth_launch_and_fairness(tmp_path: Path) -> None:
    lines, said = bench(
        tmp_path, "bench", "--cases", "growth,launch,fairness", "--sizes", "100,2000", "--large", "300",
        "--repetitions", "1", "--databases", "sqlite",
    )  # fmt: skip
    by_case = {line["case"]: line for line in lines}
    assert [line["items"] for line in lines if line["case"] == "growth"] == [100, 2000]
    assert 0 < by_case["launch"]["launch_s"] < by_case["launch"]["first_call_s"]
    assert 0 < by_case["fairness"]["share"] <= 1
    assert "of the calls for a small run beside a large one" in said


def test_pages_of_a_run_and_of_a_larger_copy(tmp_path: Path) -> None:
    lines, _ = bench(
        tmp_path, "bench.pages", "--items", "120", "--times", "2", "--databases", "sqlite", "--sockets", "0"
    )
    assert {line["items"] for line in lines} == {120, 240}
    assert all(line["queries"] > 0 and line["ms"] > 0 for line in lines)
    queries = [{line["page"]: line["queries"] for line in lines if line["items"] == n} for n in (120, 240)]
    grown = {page: count for page, count in queries[1].items() if count > queries[0][page]}
    assert not grown, "queries grow with the run's size"


def test_sockets_see_what_is_recorded(tmp_path: Path) -> None:
    [line], said = bench(
        tmp_path, "bench.pages", "--items", "0", "--databases", "sqlite", "--sockets", "12", "--live", "2",
        "--seconds", "6",
    )  # fmt: skip
    assert (line["case"], line["opened"], line["runs"]) == ("sockets", 12, 2)
    assert line["records"] > 0 and line["records_without_frame"] == 0
    assert 0 < line["p50_ms"] <= line["p95_ms"] <= line["worst_ms"]
    assert "record to frame" in said


# The arithmetic


def row(rate: float, **more: Any) -> Row:
    known: dict[str, Any] = {"cpu_s_per_1000": 0.5, "rss_mb": 100.0, "items_per_second": rate / 2}
    figures = known | {"window_items_per_second": rate} | more
    return Cell(50, 256, 1000).row("engine", "sqlite", 1, **figures)


def test_medians_are_taken_figure_by_figure() -> None:
    found = median([row(100, rss_mb=120), row(400), row(200)])
    assert found.window_items_per_second == 200 and found.items_per_second == 100
    assert found.rss_mb == 120, "memory is the highest"
    assert (found.repetitions, found.spread) == (3, 1.5)


def test_a_target_is_judged_by_its_worst_row() -> None:
    met = row(100, ratio_to_bare_loop=0.9)
    heavy = replace(row(100, rss_mb=151), database="postgres")
    verdicts = {found.target.says: found for found in findings([met, heavy])}
    assert verdicts["of the bare loop: sqlite, 1 worker, 50 ms, 256 in flight"].verdict == "reached"
    memory = verdicts["MB of a worker at its peak"]
    assert (memory.verdict, memory.value) == ("MISSED", 151)
    assert verdicts["seconds until its first call"].verdict == "not measured"


def test_ratios_compare_with_the_same_repetition() -> None:
    bare = Cell(50, 256, 1000).row("bare", "none", 1, window_items_per_second=400.0)
    assert row(100).compared([bare]).ratio_to_bare_loop == 0.25
    assert row(100).compared([]).ratio_to_bare_loop is None
    assert bare.compared([]).ratio_to_bare_loop == 1


def test_large_files_are_what_their_mapping_says(tmp_path: Path) -> None:
    mapping = Mapping.from_json([{"path": name, "use": use} for name, use in imports.MAPPING.items()])
    written = {"x.jsonl": imports.write_jsonl(tmp_path / "x.jsonl", 1)}
    written["x.parquet"] = imports.write_parquet(tmp_path / "x.parquet", 1200)
    for name, rows in written.items():
        report = check_file(tmp_path / name, name, mapping)
        assert (report.items, report.problems.total) == (rows, 0), name
