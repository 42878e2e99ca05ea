"""Answers of the scripted endpoint that no client should trust: broken, too large, mislabelled, slow."""

import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from itertools import repeat

from evalportal.demo import wire

BIG_BYTES, PIECE_BYTES, AHEAD_BYTES = 100 << 20, 1 << 20, 4 << 20
BOMB_BYTES = 100 << 20
SLOW_EVERY_S = 1.0
RETRY_AFTER_FORMS = ("seconds", "date", "ms", "none")
BODY_MODES = ("malformed", "empty", "disconnect", "big", "bomb", "charset", "slow")


def retry_after(form: str, wait_s: float) -> dict[str, str]:
    """The header in one of its forms; a date is in whole seconds, rounded up, beside its own date."""
    if form == "date":
        now = datetime.now(UTC)
        due = now + timedelta(seconds=wait_s + 0.999)
        return {"date": format_datetime(now, usegmt=True), "retry-after": format_datetime(due, usegmt=True)}
    if form == "ms":
        return {"retry-after-ms": str(round(wait_s * 1000))}
    return {} if form == "none" else {"retry-after": f"{wait_s:g}"}


def misbehave(connection: wire.Connection, mode: str, model: str) -> None:
    """One of BODY_MODES, to its end or until the client leaves."""
    if mode == "malformed":
        connection.answer(200, b'{"id":"chatcmpl-stub","choices":[{"mess')
    elif mode == "empty":
        connection.answer(200, {"id": "chatcmpl-stub", "object": "chat.completion", "choices": []})
    elif mode == "disconnect":
        open_body(connection, 500)
        connection.write(b"{")
        connection.drop(politely=True)
    elif mode == "big":
        open_body(connection, BIG_BYTES)
        pour(connection, BIG_BYTES)
    elif mode == "bomb":
        body = bomb()
        open_body(connection, len(body), "content-encoding: gzip\r\n")
        connection.write(body)
        connection.finish()
    elif mode == "charset":
        body = wire.dumps(wire.completion(model, "Zürich\nANSWER: 1", wire.usage("", "")))
        mislabelled = body.decode().encode("latin-1")
        open_body(connection, len(mislabelled), kind="application/json; charset=utf-8")
        connection.write(mislabelled)
        connection.finish()
    else:
        body = wire.dumps(wire.completion(model, "ANSWER: 1", wire.usage("", "")))
        open_body(connection, len(body))
        trickle(connection, body)


def open_body(
    connection: wire.Connection, size: int, headers: str = "", kind: str = "application/json"
) -> None:
    connection.write(
        f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{headers}content-length: {size}\r\n\r\n".encode()
    )


def pour(connection: wire.Connection, left: int) -> None:
    """As fast as the client reads."""
    if connection.transport and connection.transport.get_write_buffer_size() < AHEAD_BYTES:
        connection.write(b" " * min(PIECE_BYTES, left))
        left -= PIECE_BYTES
    if left > 0:
        connection.later(0.002, pour, connection, left)
    else:
        connection.finish()


def trickle(connection: wire.Connection, body: bytes) -> None:
    """A byte a second."""
    connection.write(body[:1])
    if body[1:]:
        connection.later(SLOW_EVERY_S, trickle, connection, body[1:])
    else:
        connection.finish()


@cache
def bomb() -> bytes:
    """A hundred megabytes of spaces in less than one of gzip, packed quickly: other calls wait meanwhile."""
    packer = zlib.compressobj(level=1, wbits=31)
    blocks = repeat(b" " * PIECE_BYTES, BOMB_BYTES // PIECE_BYTES)
    return b"".join(map(packer.compress, blocks)) + packer.flush()
