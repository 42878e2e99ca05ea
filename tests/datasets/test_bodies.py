"""A large upload stays on disk on its way through the server."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import httpx
import pytest

from evalportal.bodies import FilePart, SpooledBody, streamed

SENT_MB, BOUND_MB = 100, 50


def test_pieces_of_a_spooled_body_are_read_when_asked_for() -> None:
    with TemporaryFile() as file:
        file.write(b"0123456789")
        file.seek(0)
        body = SpooledBody(file)
        pieces = [body.read(4), body.read(4), body.read(4), body.read(4)]
    assert [len(piece) for piece in pieces] == [4, 4, 2, 0]
    assert b"".join(piece.read() for piece in pieces if isinstance(piece, FilePart)) == b"0123456789"


async def test_the_application_receives_bytes() -> None:
    received = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        received.append(await receive())

    with TemporaryFile() as file:
        file.write(b"abc")
        file.seek(0)
        part = SpooledBody(file).read(8)

    async def receive() -> Any:
        return {"type": "http.request", "body": part, "more_body": False}

    await streamed(application)({}, receive, None)
    assert received == [{"type": "http.request", "body": b"abc", "more_body": False}]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def anonymous_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


def multipart(size: int) -> Any:
    yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
    for _ in range(size >> 20):
        yield b"x" * (1 << 20)
    yield b"\r\n--b--\r\n"


def wait_for(url: str) -> None:
    for _ in range(300):
        try:
            httpx.get(url, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the portal did not start")


@contextmanager
def portal(data: Path, **settings: str) -> Iterator[tuple[str, int]]:
    """A served portal on a data folder of its own: its address and process number."""
    port = free_port()
    command = [sys.executable, "manage.py", "up", "--no-demo", "--port", str(port)]
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")
    }
    environment |= {"EVALPORTAL_DATA": str(data), "DJANGO_SETTINGS_MODULE": "evalportal.settings", **settings}
    root = Path(__file__).resolve().parent.parent.parent
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=root, env=environment, **quiet)  # type: ignore[call-overload]
    try:
        url = f"http://127.0.0.1:{port}/accounts/login/"
        wait_for(url)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(10)


def test_the_server_does_not_hold_an_upload_in_memory(tmp_path: Path) -> None:
    with portal(tmp_path) as (url, pid):
        before = anonymous_memory(pid)
        length = sum(map(len, multipart(SENT_MB << 20)))
        headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(length)}
        answer = httpx.post(
            url, content=multipart(SENT_MB << 20), headers=headers, trust_env=False, timeout=60
        )
        grown = peak_memory(pid) - before
    assert answer.status_code < 500
    assert grown < BOUND_MB << 20, f"{grown / 1e6:.0f} MB for an upload of {SENT_MB} MB"


def test_a_body_beyond_the_limit_is_refused_at_once(tmp_path: Path) -> None:
    with portal(tmp_path, EVALPORTAL_UPLOAD_MAX_MB="1") as (url, _):
        for head in (b"Content-Length: 99000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
            assert first_line(url, head) == b"HTTP/1.1 413 Content Too Large"
        assert httpx.post(url, content=b"x" * (1 << 20), trust_env=False).status_code == 302


def first_line(url: str, head: bytes) -> bytes:
    """Of the answer to a POST that goes on with chunks of a megabyte until it is cut off."""
    port = int(url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head)
        with suppress(OSError):
            for _ in range(5 if b"chunked" in head else 0):
                connection.sendall(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
        return connection.recv(1000).partition(b"\r\n")[0]


def peak_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = {line.split(":")[0]: line.split(":")[1] for line in lines}
    return (int(fields["VmHWM"].split()[0]) - int(fields["RssFile"].split()[0])) << 10
