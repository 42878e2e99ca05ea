"""Items per second of the engine, embedded: a real run against the stub endpoint in a process of its own.

Prints and appends to var/bench.jsonl: the whole process (start, import, launch, run), the working
window (first request to last recorded answer), and a bare loop of the same client that stores nothing.
"""

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import asyncio  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from datetime import UTC, datetime  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "var" / "bench.jsonl"
QUESTION = "Question {number}: how much is {number} plus {number}? [[answer:{answer}]]"


def flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--latency-ms", type=float, default=50)
    return parser.parse_args()


@contextmanager
def endpoint(latency_ms: float) -> Iterator[str]:
    """The stub in a process of its own, so that it has its own core."""
    command = [sys.executable, "-m", "tests.stub_endpoint", "--port", "0", "--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


async def bare_loop(base_url: str, items: int, in_flight: int) -> float:
    """Seconds that the same calls take when nothing is stored."""
    from evalportal.lib.secret_fields import Secret
    from registry.calls import ChatRequest, Endpoint
    from registry.client import Client

    target = Endpoint(None, "openai_chat", base_url, Secret(""), {}, 60)
    numbers = iter(range(items))

    async def work(client: Client) -> None:
        for number in numbers:
            text = QUESTION.format(number=number, answer=number * 2)
            await client.complete(target, ChatRequest("stub-model", [{"role": "user", "content": text}], {}))

    async with Client() as client:
        started = time.perf_counter()
        await asyncio.gather(*(work(client) for _ in range(in_flight)))
        return time.perf_counter() - started


def prepare(base_url: str, items: int, in_flight: int, folder: Path) -> int:
    """Imports the dataset and launches; the run's id."""
    from django.core.management import call_command

    from datasets.mapping import FieldUse, Mapping
    from datasets.services import version_import
    from registry.services import external_model
    from runs.services import Launch, launch
    from workspaces.access import system_access
    from workspaces.models import Workspace

    call_command("migrate", verbosity=0)
    access = system_access(Workspace.objects.create(slug="bench", name="Bench"))
    path = folder / "items.jsonl"
    rows = ({"q": QUESTION.format(number=n, answer=n * 2), "a": str(n * 2)} for n in range(items))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mapping = Mapping.of([FieldUse("q", "prompt"), FieldUse("a", "reference")])
    version = version_import(
        access, path=path, source_name=path.name, dataset_name="Numbers", mapping=mapping
    ).version
    model = external_model(access, base_url=base_url, name="stub-model", concurrency=in_flight)
    wish = Launch(
        dataset_version_id=version.pk, model_ids=[model.pk], scorers=[{"key": "numeric", "options": {}}],
        concurrency=in_flight,
    )  # fmt: skip
    return int(launch(access, wish).runs.get().pk)


def execute(run_id: int) -> float:
    """Runs to the end in this process; seconds from the first request to the last record."""
    from django.db.models import Max, Min

    from runs.engine.check import check_run
    from runs.engine.host import run_to_end, stop_all
    from runs.models import Attempt, Run

    run_to_end(run_id)
    stop_all()
    run = Run.objects.get(pk=run_id)
    assert (run.status, run.done, run.errored) == ("completed", run.total, 0), run.status_reason or run.status
    assert not check_run(run_id)
    window = Attempt.objects.filter(run=run).aggregate(start=Min("started_at"))
    end = run.trials.aggregate(end=Max("finished_at"))["end"]
    return float((max(end, run.finished_at or end) - window["start"]).total_seconds())


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    with endpoint(options.latency_ms) as base_url:
        import django

        django.setup()
        run_id = prepare(base_url, options.items, options.in_flight, folder)
        window_s = execute(run_id)
        whole_s = time.perf_counter() - STARTED
        bare_s = asyncio.run(bare_loop(base_url, options.items, options.in_flight))
    per_second = {"working_window": window_s, "whole_process": whole_s, "bare_loop": bare_s}
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "items": options.items,
        "in_flight": options.in_flight,
        "latency_ms": options.latency_ms,
        "items_per_second": {name: round(options.items / seconds, 1) for name, seconds in per_second.items()},
        "ratio_to_bare_loop": round(bare_s / window_s, 3),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
    }


def main() -> None:
    options = flags()
    with tempfile.TemporaryDirectory(prefix="evalportal-bench-") as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "evalportal.settings", "EVALPORTAL_DATA": folder, "REDIS_URL": "",
            "EVALPORTAL_OUTBOUND_ALLOW": "127.0.0.1/32",
        }  # fmt: skip
        result = measure(options, Path(folder))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps(result) + "\n")
    speed = result["items_per_second"]
    print(
        f"{options.items:,} items at {options.latency_ms:g} ms, {options.in_flight} in flight, all recorded"
    )
    print(f"  working window  {speed['working_window']:>8,.0f} items/s")
    print(f"  whole process   {speed['whole_process']:>8,.0f} items/s")
    print(
        f"  bare loop       {speed['bare_loop']:>8,.0f} items/s   (ratio {result['ratio_to_bare_loop']:.2f})"
    )
    print(f"  kept in {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
