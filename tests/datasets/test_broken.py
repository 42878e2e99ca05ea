"""Every file of the corpus is refused with a clear message, within 5 s and 512 MB."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.datasets.broken import write

MOST_S, MOST_MB = 5.0, 512
SCRIPT = """
import json, pathlib, sys, time
import django
django.setup()
from datasets.checking import check_file
from datasets.mapping import FieldUse, Mapping, mapping_of
from datasets.uploading import samples_of

folder = pathlib.Path(sys.argv[1])
for name in json.loads((folder / "words.json").read_text()):
    started = time.process_time()
    path = folder / name
    mapping = mapping_of(samples_of(path, name))
    if mapping.problems():
        mapping = Mapping.of([FieldUse("question", "prompt"), FieldUse("image", "asset")])
    report = check_file(path, name, mapping)
    took = time.process_time() - started
    peak = int(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) >> 10
    print(json.dumps([name, took, peak, [str(one) for one in report.problems.kept[:5]]]), flush=True)
"""


def test_broken_files_are_refused_quickly_and_in_little_memory(tmp_path: Path) -> None:
    words = write(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "evalportal.settings"},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told = {name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}
    wrong = []
    for name, word in words.items():
        took_s, peak_mb, problems = told[name]
        if word not in " ".join(problems) or took_s > MOST_S or peak_mb > MOST_MB:
            wrong.append(f"{name}: {took_s:.1f} s, {peak_mb} MB, {problems[:2]} (wanted {word!r})")
    assert not wrong, "\n".join(wrong)
