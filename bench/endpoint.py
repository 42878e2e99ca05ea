"""The stub endpoint in a process of its own, so that it has a core of its own."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.services import ROOT

QUESTION = "Question {number}: how much is {number} plus {number}? [[answer:{answer}]]"


def question(number: int) -> str:
    """The text of an item; the stub reads the right answer from its mark."""
    return QUESTION.format(number=number, answer=number * 2)


@dataclass(frozen=True)
class Endpoint:
    """A running stub. `base_url` ends in /v1; any path before that leads to the same stub."""

    origin: str
    pid: int

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def reset(self, **options: Any) -> None:
        """Zeroes the counters; the options, such as latency_ms, stay changed."""
        request = urllib.request.Request(f"{self.origin}/reset", json.dumps(options).encode(), method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.origin}/stats", timeout=10) as answer:
            return dict(json.load(answer))


@contextmanager
def endpoint(latency_ms: float = 0) -> Iterator[Endpoint]:
    command = [sys.executable, "-m", "tests.stub_endpoint", "--port", "0", "--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            address = process.stdout.readline().split()[-1]
            yield Endpoint(address.removesuffix("/v1"), process.pid)
        finally:
            process.terminate()
