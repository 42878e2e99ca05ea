"""Server time and queries of the runs pages on one large run: `python -m bench.pages --items 100000`.

Executes a real run against the stub endpoint first (about a minute for 100,000 items), then asks
each page five times in this process and prints the median.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.engine import endpoint, execute, prepare


def flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    return parser.parse_args()


def paths(run_id: int, items: int) -> list[str]:
    board, middle = "/w/bench/runs/", items // 2
    queries = ("", f"?after={middle}", f"?before={middle}", f"?verdict=correct&after={middle}",
               "?verdict=errored", f"?item={middle}", "?q=nothing-like-this")  # fmt: skip
    return [board, *(f"{board}{run_id}/{query}" for query in queries)]


def measured(client: Any, path: str) -> str:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client.get(path)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        answer = client.get(path)
        times.append((time.perf_counter() - started) * 1000)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    return f"{statistics.median(times):7.1f} ms {len(queries):4} queries  {path}"


def main() -> None:
    options = flags()
    with tempfile.TemporaryDirectory(prefix="evalportal-bench-") as folder, endpoint(0) as base_url:
        os.environ |= {"EVALPORTAL_DATA": folder, "DJANGO_SETTINGS_MODULE": "evalportal.settings"}
        import django

        django.setup()
        from django.conf import settings
        from django.test import Client

        from workspaces.models import User

        run_id = prepare(base_url, options.items, 256, Path(folder))
        seconds = execute(run_id)
        print(f"{options.items:,} items recorded in {seconds:.1f} s")
        client = Client(SERVER_NAME="localhost")
        client.force_login(
            User.objects.create_superuser("bench@example.com"), settings.AUTHENTICATION_BACKENDS[0]
        )
        for path in paths(run_id, options.items):
            print(measured(client, path))


if __name__ == "__main__":
    main()
