"""One run in this process, as `manage.py evaluate` executes it, beside the bare loop: for profilers.

`python -m bench.engine --items 2000 --latency-ms 50 --in-flight 256`. Nothing is kept: `make bench`
measures the portal as people start it.
"""

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import asyncio  # noqa: E402
import os  # noqa: E402
import tempfile  # noqa: E402
from typing import Any  # noqa: E402

from bench import bare  # noqa: E402
from bench.endpoint import endpoint  # noqa: E402


def flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--latency-ms", type=float, default=50)
    return parser.parse_args()


def embedded(folder: str) -> None:
    """This process becomes a portal of its own on SQLite in that folder."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "evalportal.settings", "EVALPORTAL_DATA": folder, "REDIS_URL": "",
        "DATABASE_URL": "", "EVALPORTAL_OUTBOUND_ALLOW": "127.0.0.1/32",
    }  # fmt: skip


def launched(made: dict[str, Any], in_flight: int, limit: int | None = None) -> int:
    """The id of a run of what `bench.scenario.prepare` made."""
    from runs.services import Launch, launch
    from workspaces.access import system_access
    from workspaces.models import Workspace

    wish = Launch(
        dataset_version_id=made["version"], model_ids=[made["wide"]], scorers=[{"key": "numeric"}],
        concurrency=in_flight, limit=limit,
    )  # fmt: skip
    return int(launch(system_access(Workspace.objects.get()), wish).runs.get().pk)


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


def main() -> None:
    options = flags()
    with (
        tempfile.TemporaryDirectory(prefix="evalportal-bench-") as folder,
        endpoint(options.latency_ms) as stub,
    ):
        embedded(folder)
        from bench.scenario import prepare

        made = prepare(stub.base_url, str(options.items), "64")
        window_s = execute(launched(made, options.in_flight))
        whole_s = time.perf_counter() - STARTED
        loop = asyncio.run(bare.loop("httpx", stub.base_url, options.items, options.in_flight))
    rates = {"working window": window_s, "whole process": whole_s, "bare loop": loop["window_s"]}
    print(
        f"{options.items:,} items at {options.latency_ms:g} ms, {options.in_flight} in flight, all recorded"
    )
    for name, seconds in rates.items():
        print(f"  {name:<15} {options.items / seconds:>8,.0f} items/s   ({loop['window_s'] / seconds:.2f})")


if __name__ == "__main__":
    main()
