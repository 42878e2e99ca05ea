"""The corpus of broken files over HTTP: no request holds its web worker, or takes 512 MB."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.datasets.broken import write

# At most 1 s of processor time on a calm machine; what the guards keep away would take minutes.
MOST_S, MOST_MB = 6.0, 512  # the import itself is a worker's
SCRIPT = """
import json, pathlib, sys, time
import django
django.setup()
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from datasets.models import DatasetVersion
from workspaces.models import Membership, Role, User, Workspace

settings.ALLOWED_HOSTS.append("testserver")
call_command("migrate", verbosity=0)
user = User.objects.create_user("e@example.com", "x")
Membership.objects.create(workspace=Workspace.objects.create(slug="a", name="A"), user=user, role=Role.EDITOR)
client = Client()
client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
folder = pathlib.Path(sys.argv[1])

def peak_mb():
    return int(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) >> 10

client.get("/w/a/datasets/upload/")
before_mb = peak_mb()

def timed(call):
    started = time.process_time()
    answer = call()
    return answer, time.process_time() - started

for name in json.loads((folder / "words.json").read_text()):
    file = SimpleUploadedFile(name, (folder / name).read_bytes())
    sent, first = timed(lambda: client.post("/w/a/datasets/upload/", {"file": file, "kind": "query"}))
    steps, codes = [first], [sent.status_code]
    if sent.status_code == 302:
        shown, again = timed(lambda: client.get(sent["Location"]))
        begun, third = timed(lambda: client.post(sent["Location"], {"action": "import", "dataset_name": "D"}))
        steps, codes = [*steps, again, third], [*codes, shown.status_code, begun.status_code]
    print(json.dumps([name, steps, codes, peak_mb() - before_mb, DatasetVersion.objects.count()]), flush=True)
"""


def test_no_request_is_held_by_a_broken_file(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    words = write(corpus)
    plain = {"EVALPORTAL_DATA": str(tmp_path / "data"), "DATABASE_URL": "", "REDIS_URL": ""}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(corpus)],
        env=os.environ | plain | {"DJANGO_SETTINGS_MODULE": "evalportal.settings"},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [name for name, *_ in told] == list(words)
    wrong = [
        f"{name}: {max(steps):.1f} s, {codes}, {peak_mb} MB, {versions} versions"
        for name, steps, codes, peak_mb, versions in told
        if max(steps) > MOST_S or peak_mb > MOST_MB or versions or max(codes) >= 500
    ]
    assert not wrong, "\n".join(wrong)
