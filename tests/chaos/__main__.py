"""`python -m tests.chaos`: every fault at full size on both databases, a line each in var/chaos.jsonl."""

import argparse
import json
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.cases import CASES, Case, cases_on
from tests.chaos.lab import Lab, Line
from tests.chaos.servers import ScriptedProvider
from tests.chaos.sites import embedded, scaled
from tests.services import ROOT

RESULTS = ROOT / "var" / "chaos.jsonl"
USUAL_LEASE_S, SHORT_LEASE_S = 20, 6
SITES = {"sqlite": embedded, "postgresql": scaled}


def flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--database", choices=list(SITES), action="append", help="default: both")
    parser.add_argument("--case", choices=[case.name for case in CASES], action="append", help="default: all")
    parser.add_argument("--small", action="store_true", help="the size of `make test`")
    parser.add_argument("--keep", action="store_true", help="keep the data folders and logs")
    return parser.parse_args()


@contextmanager
def lab_on(database: str, folder: Path, *, full: bool) -> Iterator[Lab]:
    lease_s = USUAL_LEASE_S if full else SHORT_LEASE_S
    with ScriptedProvider() as provider, SITES[database](folder, lease_s) as site:
        yield Lab(site, provider, full=full)


def played(case: Case, lab: Lab) -> list[Line]:
    """A case that cannot be played to its end has failed."""
    try:
        return case.lines(lab)
    except Exception as error:
        traceback.print_exc()
        return [Line(case.name, lab.site.database, 0, ok=False, problems=[f"broke off: {error!r}"[:2000]])]


def keep(line: Line) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with RESULTS.open("a") as file:
        file.write(json.dumps({"at": at, **line.as_dict()}) + "\n")


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children are deaf to it
    options, failed = flags(), 0
    for database in options.database or SITES:
        folder = Path(tempfile.mkdtemp(prefix=f"evalportal-chaos-{database}-"))
        with lab_on(database, folder, full=not options.small) as lab:
            for case in cases_on(database):
                if options.case and case.name not in options.case:
                    continue
                for line in played(case, lab):
                    print(line, flush=True)
                    keep(line)
                    failed += not line.ok
        if options.keep or failed:
            print(f"     data and logs: {folder}")
    for case in CASES:
        if case.left_out and not options.case:
            print(f"     not on SQLite: {case.name} ({case.left_out})")
    print(f"{failed} failed" if failed else "all hold", f"(kept in {RESULTS.relative_to(ROOT)})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
