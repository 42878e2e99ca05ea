"""The web side: `make bench-pages`, or `python -m bench.pages --items 100000 --times 10`.

Server time and queries of the pages on a real run of --items, executed against the stub endpoint,
and on copies of it --times as large, each with a twin over the same items to compare with; the first has
three judges as well. Then --sockets on --live runs (bench.live). Each page is asked once, which is `first`,
and five times warm in this process; printed is the median. At the end stands what must be reached.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench import live, report
from bench.endpoint import endpoint
from bench.engine import embedded, execute, launched
from bench.rows import rounded, stamp
from bench.stores import stores
from tests.services import Postgres

DATABASES = ("sqlite", "postgres")
ASKED = 5
SAID = """
{sockets} sockets ({board_sockets} on the board) on {runs} live runs, {items_per_second} items/s, {database}:
  record to frame p50 {p50_ms:.0f} ms, p95 {p95_ms:.0f} ms, worst {worst_ms:.0f} ms
  ({records:,} records seen by a socket, {records_without_frame} not)
  {frames_per_second:,.0f} frames/s, {mb_per_second:.1f} MB/s; {opened} opened in {opened_s:.1f} s,
  {retried} handshakes repeated, {lost} sockets lost
  web process {web_cores:.2f} cores, {web_rss_mb:.0f} MB; the browsers' process {client_cores:.2f} cores"""
COLUMNS = f"{'ms':>8} {'CPU ms':>7} {'first':>8} {'queries':>8} {'kB':>7}"
HEAD = f"  {'page':<34} {'items':>9} {'database':<9} {COLUMNS}"
JUDGES = 3


def flags(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--times", default="10", help="how much larger its copies are; comma list, or empty")
    parser.add_argument("--databases", default=",".join(DATABASES), help="comma list")
    parser.add_argument("--sockets", type=int, default=500, help="0: none")
    parser.add_argument("--live", type=int, default=20, help="runs that the sockets watch")
    parser.add_argument("--seconds", type=float, default=20, help="how long the sockets watch")
    parser.add_argument("--output", type=Path, default=report.RESULTS)
    return parser.parse_args(arguments)


def paths(run: Any, twin: int, asked_for: int) -> dict[str, str]:
    """What a person opens, by its name."""
    from django.urls import reverse

    board, middle = "/w/bench/runs/", run.total // 2
    page, api = f"{board}{run.pk}/", f"/api/v1/runs/{run.pk}"
    both = f"runs={run.pk},{twin}"
    return {
        "board": board,
        "inspector": page,
        "inspector, a page in the middle": f"{page}?after={middle}",
        "inspector, the page before it": f"{page}?before={middle}",
        "inspector, correct, in the middle": f"{page}?verdict=correct&after={middle}",
        "inspector, incorrect": f"{page}?verdict=incorrect",
        "inspector, unscored": f"{page}?verdict=unscored",
        "inspector, errors": f"{page}?verdict=errored",
        "inspector, waiting": f"{page}?verdict=waiting",
        "inspector, one section": f"{page}?section=part-3",
        "inspector, one section, incorrect": f"{page}?section=part-3&verdict=incorrect",
        "item, in the drawer": f"{page}?item={middle}",
        "search, a hit in the middle": f"{page}?q=Question+{asked_for}:",
        "search, no hit": f"{page}?q=nothing-like-this",
        "item, in the drawer of a search": f"{page}?q=nothing-like-this&item={middle}",
        "failed attempts": reverse("runs:attempts", args=["bench", run.pk]),
        "an item's history": reverse("runs:item_history", args=["bench", run.trials.first().item_id]),
        "items, the hardest first": reverse("runs:difficulty", args=["bench", run.dataset_version_id]),
        "figures": reverse("runs:metrics", args=["bench", run.pk]),
        "comparison": f"/w/bench/compare/?{both}",
        "comparison, A right, B wrong": f"/w/bench/compare/?{both}&a=right&b=wrong",
        "API: run": api,
        "API: a page of trials": f"{api}/trials?limit=50",
        "API: comparison": f"/api/v1/comparisons?{both}&workspace=bench",
    }


def asked(client: Any, path: str) -> dict[str, float]:
    """Median milliseconds and those of CPU in this process, those of the first time, queries, kB."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    began = time.perf_counter()
    client.get(path)  # warms what a process keeps
    first = (time.perf_counter() - began) * 1000
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    count = len(queries)  # the next request forgets them
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    times, used = [], []
    for _ in range(ASKED):
        started, before = time.perf_counter(), time.process_time()
        client.get(path)
        times.append((time.perf_counter() - started) * 1000)
        used.append((time.process_time() - before) * 1000)
    figures = {"ms": statistics.median(times), "cpu_ms": statistics.median(used), "first_ms": first}
    return figures | {"queries": count, "kb": len(answer.content) / 1000}


def pages(database: str, base_url: str, items: int, times: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One line per page and size; sets Django up, so it is called once per process."""
    from bench.scenario import EMAIL, prepare

    made = prepare(base_url, str(items), "64")
    run_id = launched(made, 256)
    print(f"{database}: {items:,} items recorded in {execute(run_id):.0f} s", flush=True)

    from django.conf import settings
    from django.test import Client

    from bench.enlarge import enlarged, judged, learn_sizes, twin
    from runs.models import Run
    from workspaces.models import User

    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(email=EMAIL), settings.AUTHENTICATION_BACKENDS[0])
    script = Client(SERVER_NAME="localhost", headers={"authorization": f"Bearer {made['token']}"})
    runs = [run_id]
    for larger in times:
        started = time.perf_counter()
        runs.append(enlarged(run_id, larger))
        print(f"{database}: {larger} times as large in {time.perf_counter() - started:.0f} s", flush=True)
    judged(run_id, JUDGES)
    twins = {run: twin(run) for run in runs}
    learn_sizes()
    client.get("/w/bench/runs/")  # templates and connections are not what a first time measures
    for run in Run.objects.filter(pk__in=runs).order_by("total"):
        for name, path in paths(run, twins[run.pk], items // 2).items():
            line = {"case": "page", "page": name, "database": database, "items": run.total}
            yield line | asked(script if path.startswith("/api/") else client, path)


def page_lines(database: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Prepared, executed, asked and printed."""
    times = [int(text) for text in options.times.split(",") if text]
    with tempfile.TemporaryDirectory(prefix="evalportal-bench-") as folder, endpoint() as stub:
        stub.reset(latency_ms=0, accuracy=0.7)
        embedded(folder)
        if database == "postgres":
            with Postgres() as server:
                os.environ["DATABASE_URL"] = server.new_database()
                lines = list(pages(database, stub.base_url, options.items, times))
        else:
            lines = list(pages(database, stub.base_url, options.items, times))
    print(HEAD)
    for line in lines:
        times = f"{line['ms']:>8.1f} {line['cpu_ms']:>7.1f} {line['first_ms']:>8.1f}"
        named = f"{line['page']:<34} {line['items']:>9,} {database:<9}"
        print(f"  {named} {times} {line['queries']:>8} {line['kb']:>7.0f}", flush=True)
    return lines


def socket_lines(databases: Sequence[str], options: argparse.Namespace) -> list[dict[str, Any]]:
    with (
        tempfile.TemporaryDirectory(prefix="evalportal-bench-") as folder,
        endpoint() as stub,
        stores(Path(folder), stub, servers="postgres" in databases) as made,
    ):
        lines = [live.live(made, name, options.sockets, options.live, options.seconds) for name in databases]
    for line in lines:
        print(SAID.format(**line), flush=True)
    return lines


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    options = flags(arguments)
    databases = options.databases.split(",")
    lines = socket_lines(databases, options) if options.sockets else []
    for database in databases if options.items else []:
        lines += apart(database, options)
    kept = ({name: rounded(value) for name, value in line.items()} | stamp() for line in lines)
    report.keep(kept, options.output)
    print(verdicts(lines))
    print(f"\n{len(lines)} lines kept in {options.output}")
    return lines


PAGE_MS, FRAME_MS, SIZE = 100, 700, 100_000


def verdicts(lines: Sequence[dict[str, Any]]) -> str:
    """Each target, the worst figure, and whose it is."""
    asked_pages = [line for line in lines if line["case"] == "page" and line["items"] <= SIZE]
    sockets = [line for line in lines if line["case"] == "sockets"]
    told = ["", "Targets (the worst of each)"]
    for says, most, figure, rows in (
        (f"ms of server time, every page of a run of {SIZE:,} items", PAGE_MS, "ms", asked_pages),
        ("ms from record to frame, median", FRAME_MS, "p50_ms", sockets),
        ("sockets lost", 0, "lost", sockets),
        ("records without a frame", 0, "records_without_frame", sockets),
    ):
        worst = max(rows, key=lambda line: line[figure], default=None)
        if worst is None:
            told.append(f"  {'not measured':<12} {'':>8} {f'≤ {most}':>7}  {says}")
            continue
        verdict = "reached" if worst[figure] <= most else "MISSED"
        whose = ", ".join(str(worst[name]) for name in ("page", "database") if name in worst)
        told.append(f"  {verdict:<12} {worst[figure]:>8.1f} {f'≤ {most}':>7}  {says}  ({whose})")
    return "\n".join(told)


def apart(database: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The pages in a process of their own: Django is set up for one database."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(page_lines, database, options).result()


if __name__ == "__main__":
    main()
