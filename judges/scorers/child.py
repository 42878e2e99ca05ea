"""A small process beside this one that computes what users wrote, so that it can be ended.

One line of JSON in, one line out. The program arms a timer of its own processor time before each
request, whose signal ends it even if its parent is gone; a child that died is replaced.
"""

import os
import subprocess
import sys
from threading import Lock
from typing import IO, cast


class Child:
    """One process per worker process, started on first use; a fork gets its own."""

    def __init__(self, program: str, *, packages: bool = False):
        """`packages` lets the program import what is installed; else it sees the standard library only."""
        self.program, self.packages = program, packages
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self.lock = Lock()
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, request: bytes) -> bytes:
        """The answer's line; nothing if the child ended instead."""
        with self.lock:
            process = self._running()
            try:
                cast(IO[bytes], process.stdin).write(request + b"\n")
                cast(IO[bytes], process.stdin).flush()
                answer = cast(IO[bytes], process.stdout).readline()
            except BrokenPipeError:
                answer = b""
            if not answer:
                self._bury(process)
            return answer

    def _running(self) -> "subprocess.Popen[bytes]":
        if self.process is None:
            flags = ["-I"] if self.packages else ["-I", "-S"]
            self.process = subprocess.Popen(  # noqa: S603 (our own interpreter, our own text)
                [sys.executable, *flags, "-c", self.program],
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
