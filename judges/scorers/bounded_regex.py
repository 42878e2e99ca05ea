"""Regular expressions of users, matched under a hard limit of processor time.

Python's `re` holds the interpreter while it matches and can't be interrupted from a thread, and no
static check tells a slow pattern from a fast one. So patterns of users are matched in one small
child process per worker: before each match it arms a timer of its own processor time whose signal
ends it, even if its parent is gone. A round trip costs some 40 µs; a child that died is replaced.
"""

import json
import os
import re
import subprocess
import sys
from threading import Lock
from typing import IO, cast

CPU_LIMIT_S = 0.5
MAX_PATTERN = 1_000
MAX_TEXT = 100_000

# Runs isolated (-I) and without site packages (-S): it sees a pattern and a text, nothing else.
CHILD = """
import json, re, resource, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
cache = {}
for line in sys.stdin.buffer:
    pattern, flags, group, last, text, limit = json.loads(line)
    key = (pattern, flags)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    if key not in cache:
        cache.clear()
        cache[key] = re.compile(pattern, flags)
    found = None
    if last:
        for found in cache[key].finditer(text):
            pass
    else:
        found = cache[key].search(text)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    answer = None if found is None else (found.group(group) or "")
    sys.stdout.write(json.dumps([found is not None, answer]) + "\\n")
    sys.stdout.flush()
"""


class TooSlow(Exception):
    """The pattern needed more than its share of processor time on this text."""


class _Child:
    """The matching process of this process; a fork gets its own."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, request: bytes) -> bytes:
        with self.lock:
            process = self._running()
            try:
                cast(IO[bytes], process.stdin).write(request)
                cast(IO[bytes], process.stdin).flush()
                answer = cast(IO[bytes], process.stdout).readline()
            except BrokenPipeError:
                answer = b""
            if not answer:
                self._bury(process)
            return answer

    def _running(self) -> "subprocess.Popen[bytes]":
        if self.process is None:
            self.process = subprocess.Popen(  # noqa: S603 (our own interpreter, our own text)
                [sys.executable, "-I", "-S", "-c", CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
            )
        return self.process

    def _bury(self, process: "subprocess.Popen[bytes]") -> None:
        process.kill()
        process.communicate()
        self.process = None


_child = _Child()
os.register_at_fork(after_in_child=lambda: _child.__init__())  # type: ignore[misc]


def compile_problem(pattern: str) -> str:
    """Why the pattern can't be used, or nothing."""
    if not pattern:
        return "is required"
    if len(pattern) > MAX_PATTERN:
        return f"is longer than {MAX_PATTERN:,} characters"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is not a regular expression: {error}"
    return ""


def find(pattern: str, text: str, *, flags: int = 0, group: str | int = 0, last: bool = False) -> str | None:
    """The group of the first (or last) match, None without a match. Raises TooSlow.

    Only the last MAX_TEXT characters are read.
    """
    request = [pattern, flags, group, last, text[-MAX_TEXT:], CPU_LIMIT_S]
    answer = _child.ask(json.dumps(request).encode() + b"\n")
    if not answer:
        raise TooSlow
    found, value = json.loads(answer)
    return str(value) if found else None
