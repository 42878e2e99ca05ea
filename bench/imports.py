"""Large imports: `python -m bench.imports`, or with `--part 20` a twentieth of each.

A JSONL file of --mb and a Parquet file of --rows are generated, sent to the API of a portal on SQLite and
imported whole, check and all, by its own worker. Printed are the memory that this added to the portal's
process, seconds, rows a second, and how long the board and the list of datasets took meanwhile.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench import processes, report
from bench.endpoint import endpoint
from bench.portal import Portal, portal
from bench.rows import rounded, stamp
from bench.stores import scenario, stores

WARM_ITEMS = 1000  # of a finished run, so that the board has something to show
GROUP_ROWS = 50_000
LONG, SHORT = 18, 4  # sentences in a question: of JSONL, where size counts, and of Parquet, where rows do
ASK_EVERY_S, LOOK_EVERY_S, QUIET_S = 0.1, 0.05, 3.0
WITHIN_S = 1800
PAGES = {"board": "/w/bench/runs/", "datasets": "/w/bench/datasets/"}
MAPPING = {
    "id": "id", "section": "section", "question": "prompt", "answer": "reference", "level": "metadata",
}  # fmt: skip
SAID = """{format}: {rows:,} rows, {mb:,.0f} MB
  sent in {upload_s:.0f} s, checked and stored in {import_s:.0f} s: {rows_per_second:,.0f} rows/s
  memory of the portal +{added_mb:.0f} MB (anonymous, from {before_mb:.0f} MB)
  meanwhile, of {asked} pages: board p50 {board_p50_ms:.0f} ms, p95 {board_p95_ms:.0f} ms;
  datasets p50 {datasets_p50_ms:.0f} ms, p95 {datasets_p95_ms:.0f} ms; worst {worst_ms:.0f} ms
  before it: board p95 {quiet_board_p95_ms:.0f} ms, datasets p95 {quiet_datasets_p95_ms:.0f} ms"""


def flags(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description=__doc__)
    parser.add_argument("--mb", type=int, default=1024, help="of the JSONL file")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the Parquet file")
    parser.add_argument("--part", type=int, default=1, help="20: a twentieth of both")
    parser.add_argument("--formats", default="jsonl,parquet", help="comma list")
    parser.add_argument("--output", type=Path, default=report.RESULTS)
    return parser.parse_args(arguments)


def row(number: int, times: int) -> dict[str, Any]:
    """About 75 bytes as JSON for each of the `times` that its sentence is said."""
    said = (
        f"Town {number % 977} has {number} inhabitants, of whom every {number % 13 + 2}th takes the train. "
    )
    return {
        "id": f"q{number}", "section": f"part {number % 40}", "question": said * times + "How many are that?",
        "answer": str(number // (number % 13 + 2)), "level": number % 5,
    }  # fmt: skip


def write_jsonl(path: Path, mb: int) -> int:
    """Returns how many rows it holds."""
    number = 0
    with path.open("w") as file:
        while file.tell() < mb << 20:
            file.writelines(json.dumps(row(number + place, LONG)) + "\n" for place in range(1000))
            number += 1000
    return number


def write_parquet(path: Path, rows: int) -> int:
    with pq.ParquetWriter(path, pa.Table.from_pylist([row(0, SHORT)]).schema) as writer:
        for start in range(0, rows, GROUP_ROWS):
            part = [row(number, SHORT) for number in range(start, min(start + GROUP_ROWS, rows))]
            writer.write_table(pa.Table.from_pylist(part))
    return rows


@dataclass
class Reader:
    """A person who opens pages all the time; `times` are seconds by page."""

    url: str
    session: str
    times: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in PAGES})

    @contextmanager
    def reading(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._read, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _read(self, over: threading.Event) -> None:
        cookies = {"sessionid": self.session}
        with httpx.Client(base_url=self.url, cookies=cookies, trust_env=False, timeout=120) as client:
            while not over.is_set():
                for name, path in PAGES.items():
                    began = time.perf_counter()
                    answer = client.get(path)
                    self.times[name].append(time.perf_counter() - began)
                    assert answer.status_code == 200, f"{path}: {answer.status_code}"
                    over.wait(ASK_EVERY_S)

    def figures(self, before: str = "") -> dict[str, float]:
        """p50 and p95 of each page in ms."""
        return {
            f"{before}{name}_p{share}_ms": 1000 * float(np.percentile(times, share))
            for name, times in self.times.items()
            for share in (50, 95)
        }


@dataclass
class Memory:
    """The most anonymous memory that a process had while it was watched, in MB."""

    pid: int
    peak_mb: float = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(LOOK_EVERY_S):
                self.peak_mb = max(self.peak_mb, processes.unshared_mb(self.pid))

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def sent(made: Portal, path: Path) -> int:
    """The upload's id."""
    mapping = {"fields": [{"path": name, "use": use} for name, use in MAPPING.items()]}
    with path.open("rb") as file:
        answer = httpx.post(
            f"{made.url}/api/v1/datasets", headers=headers(made), files={"file": (path.name, file)},
            data={"name": path.name, "mapping": json.dumps(mapping)}, timeout=600, trust_env=False,
        )  # fmt: skip
    assert answer.status_code == 202, answer.text[:2000]
    return int(answer.json()["id"])


def headers(made: Portal) -> dict[str, str]:
    return {"Authorization": f"Bearer {made.prepared.ids['token']}"}


def finished(made: Portal, upload: int) -> None:
    """Waits for the upload to become a version."""
    deadline = time.perf_counter() + WITHIN_S
    while time.perf_counter() < deadline:
        [(state, problems)] = made.prepared.query(
            "SELECT state, problems FROM datasets_upload WHERE id = %s", upload
        )
        if state == "done":
            return
        assert state in ("queued", "importing"), f"{state}: {problems}"
        time.sleep(LOOK_EVERY_S)
    raise TimeoutError(f"the import did not end within {WITHIN_S} s")


def imported(made: Portal, path: Path, rows: int, session: str) -> dict[str, Any]:
    """One file through the portal, with its figures."""
    quiet, reader = Reader(made.url, session), Reader(made.url, session)
    with quiet.reading():
        time.sleep(QUIET_S)
    [pid] = made.engine_pids
    memory, before = Memory(pid), processes.unshared_mb(pid)
    with memory.watched(), reader.reading():
        began = time.perf_counter()
        upload = sent(made, path)
        arrived = time.perf_counter()
        finished(made, upload)
        over = time.perf_counter()
    [(stored,)] = made.prepared.query(
        "SELECT count(*) FROM datasets_item WHERE version_id ="
        " (SELECT version_id FROM datasets_upload WHERE id = %s)",
        upload,
    )
    assert stored == rows, f"{stored:,} items of {rows:,} rows"
    return {
        "case": "import", "database": "sqlite", "format": path.suffix[1:], "rows": rows,
        "mb": path.stat().st_size / (1 << 20), "upload_s": arrived - began, "import_s": over - arrived,
        "rows_per_second": rows / (over - arrived), "added_mb": memory.peak_mb - before, "before_mb": before,
        "asked": sum(map(len, reader.times.values())), **reader.figures(), **quiet.figures("quiet_"),
        "worst_ms": 1000 * max(max(times) for times in reader.times.values()),
    }  # fmt: skip


def lines(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A portal of its own for each file."""
    with (
        tempfile.TemporaryDirectory(prefix="evalportal-bench-") as folder,
        endpoint() as stub,
        stores(Path(folder), stub, servers=False) as made,
    ):
        for name in options.formats.split(","):
            path = Path(folder) / f"large.{name}"
            if name == "jsonl":
                rows = write_jsonl(path, options.mb // options.part)
            else:
                rows = write_parquet(path, options.rows // options.part)
            prepared = made.copy("sqlite", WARM_ITEMS)
            prepared.env["EVALPORTAL_UPLOAD_MAX_MB"] = str((path.stat().st_size >> 20) + 100)
            session = scenario(prepared.env, "session")["session"]
            with portal(prepared, 0) as running:
                running.wait(running.launch(WARM_ITEMS, 64)[0])
                yield imported(running, path, rows, session)
            made.drop(prepared)
            path.unlink()


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    options, found = flags(arguments), []
    for line in lines(options):
        print(SAID.format(**line), flush=True)
        found.append({name: rounded(value) for name, value in line.items()} | stamp())
        report.keep(found[-1:], options.output)
    print(f"\n{len(found)} lines kept in {options.output}")
    return found


if __name__ == "__main__":
    main()
