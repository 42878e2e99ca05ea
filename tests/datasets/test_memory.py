"""Importing streams: what a large file adds to the process stays small. `EVALPORTAL_BIG=1` takes 200 MB."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import resource, sys, threading, time, pathlib
import django
django.setup()
from datasets.mapping import FieldUse, Mapping
from datasets.checking import check_file
from datasets.importing import good_drafts, _batches
from datasets.importers import rows_of

def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

path = pathlib.Path(sys.argv[1])
mapping = Mapping.of([FieldUse("id", "id"), FieldUse("question", "prompt"), FieldUse("answer", "reference")])
before, peak, done = resident(), 0, False

def watch():
    global peak
    while not done:
        peak = max(peak, resident())
        time.sleep(0.02)

watcher = threading.Thread(target=watch)
watcher.start()
report = check_file(path, path.name, mapping)
with path.open("rb") as file:
    drafts = good_drafts(rows_of(file, path.name), mapping, leave_out=False)
    items = sum(len(batch) for batch in _batches(drafts))
done = True
watcher.join()
assert report.problems.total == 0 and items == report.items
print(items, peak - before)
"""
BIG = bool(os.environ.get("EVALPORTAL_BIG"))
FILE_MB, BOUND_MB = (200, 100) if BIG else (40, 40)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_large_file_adds_little_to_the_process(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"big.{kind}"
    with path.open("w") as file:
        if kind == "csv":
            file.write("id,question,answer\n")
        number, text = 0, "What is it? " * 40
        while file.tell() < FILE_MB << 20:
            rows = range(number, number + 1000)
            file.writelines(
                f'{n},"{text}\n{n}",x{n}\n'
                if kind == "csv"
                else json.dumps({"id": f"n{n}", "question": text, "answer": n}) + "\n"
                for n in rows
            )
            number += 1000
    command = [sys.executable, "-c", SCRIPT, str(path)]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "evalportal.settings"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    items, grown = map(int, done.stdout.split())
    assert items == number
    assert grown < BOUND_MB << 20, f"{grown / 1e6:.0f} MB for a file of {FILE_MB} MB"
