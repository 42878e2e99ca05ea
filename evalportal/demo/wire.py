"""The server side of the chat-completions wire on a bare asyncio protocol: HTTP/1.1, JSON answers, SSE.

A handler decides what to answer; this module only reads requests and writes bytes. It serves
loopback clients of our own (the demo endpoint, the tests' stub), not the internet.
"""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from math import sqrt
from typing import Any, Protocol, cast

MAX_HEAD_BYTES, MAX_BODY_BYTES = 64 << 10, 64 << 20
REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    413: "Payload Too Large", 429: "Too Many Requests", 500: "Internal Server Error",
    503: "Service Unavailable",
}  # fmt: skip
WORD = re.compile(r"\w+")
ERROR_KINDS = {401: "authentication_error", 429: "rate_limit_error"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `head` is the request line and headers in lower case."""

    method: str
    path: str
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key == name.encode():
                return value.strip().decode("latin-1")
        return ""


class Handler(Protocol):
    """Answers each request on its connection, at once or later, exactly once."""

    def handle(self, request: Request, connection: "Connection") -> None: ...


def dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Connection(asyncio.Protocol):
    """A keep-alive connection that takes one request at a time."""

    __slots__ = ("buffer", "busy", "closing", "handler", "loop", "on_gone", "timer", "transport")

    def __init__(self, handler: Handler, loop: asyncio.AbstractEventLoop):
        self.handler, self.loop = handler, loop
        self.transport: asyncio.Transport | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.on_gone: Callable[[], None] | None = None  # the client left before its answer
        self.buffer, self.busy, self.closing = b"", False, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer:
            self.timer.cancel()
        if self.busy and self.on_gone:
            self.on_gone()
        self.transport, self.timer, self.on_gone = None, None, None

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        self._next()

    def _next(self) -> None:
        """Hands out the complete requests of the buffer, until one has to wait for its answer."""
        while self.buffer and not self.busy and self.transport and not self.transport.is_closing():
            request = self._take()
            if request is None:
                return
            self.busy = True
            self.handler.handle(request, self)

    def _take(self) -> Request | None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > MAX_HEAD_BYTES:
                self.refuse(413, "the head is too large")
            return None
        first = self.buffer[: self.buffer.find(b"\r\n")].split(b" ")
        head = self.buffer[:end].lower()
        framed = _body(self.buffer, head, end + 4)
        if framed is None:
            return None
        body, after = framed
        self.buffer = self.buffer[after:]
        self.closing = b"\r\nconnection: close" in head
        path = first[1].split(b"?")[0].decode("latin-1") if len(first) > 1 else "/"
        return Request(first[0].decode("latin-1"), path, head, body)

    # What a handler may do

    def later(self, delay_s: float, call: Callable[..., None], *args: Any) -> None:
        """`call` in a while, unless the client has left by then."""
        self.timer = self.loop.call_later(delay_s, call, *args)

    def answer(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        """A whole answer; `value` is JSON data, or bytes as they are."""
        body = value if isinstance(value, bytes) else dumps(value)
        extra = "".join(f"{name}: {text}\r\n" for name, text in (headers or {}).items())
        self.write(
            f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n{extra}\r\n".encode()
            + body
        )
        self.finish()

    def refuse(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        kind = ERROR_KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
        self.answer(status, {"error": {"message": message, "type": kind, "code": str(status)}}, headers)

    def open_stream(self) -> None:
        self.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )

    def event(self, value: Any) -> None:
        data = b"data: %b\n\n" % (value if isinstance(value, bytes) else dumps(value))
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self.event(b"[DONE]")
        self.write(b"0\r\n\r\n")
        self.finish()

    def write(self, data: bytes) -> None:
        if self.transport:
            self.transport.write(data)

    def finish(self) -> None:
        """The answer is complete; the next request may come."""
        self.busy, self.on_gone, self.timer = False, None, None
        if self.closing and self.transport:
            self.transport.close()
        elif self.buffer:
            self.loop.call_soon(self._next)

    def drop(self, *, politely: bool) -> None:
        """Ends the connection: after what was written, or by a reset."""
        self.busy, self.on_gone = False, None
        if self.transport:
            self.transport.close() if politely else self.transport.abort()


def _body(buffer: bytes, head: bytes, start: int) -> tuple[bytes, int] | None:
    """(body, offset after it), or None while it is incomplete."""
    if b"transfer-encoding: chunked" in head:
        return _dechunk(buffer, start)
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        return b"", start
    stop = head.find(b"\r\n", at + 2)
    size = int(head[at + 17 : stop if stop > 0 else len(head)])
    if size > MAX_BODY_BYTES or len(buffer) < start + size:
        return None
    return buffer[start : start + size], start + size


def _dechunk(buffer: bytes, at: int) -> tuple[bytes, int] | None:
    parts: list[bytes] = []
    while (line := buffer.find(b"\r\n", at)) >= 0:
        size = int(buffer[at:line].split(b";")[0], 16)
        after = line + 2 + size + 2
        if len(buffer) < after:
            return None
        if not size:
            return b"".join(parts), after
        parts.append(buffer[line + 2 : after - 2])
        at = after
    return None


async def serve(handler: Handler, *, host: str = "127.0.0.1", port: int = 0) -> asyncio.Server:
    """Listens on loopback; port 0 picks a free one."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(handler, loop), host, port, backlog=4096)


# Bodies of the chat-completions format


def text_of(messages: list[dict[str, Any]]) -> str:
    """All text of a chat: strings, and the text parts of content lists."""
    found: list[str] = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            found.append(content)
        elif isinstance(content, list):
            found.extend(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "\n".join(found)


def usage(prompt: str, text: str) -> dict[str, int]:
    """Token counts by the rule of thumb of four characters a token."""
    asked, said = len(prompt) // 4 + 1, len(text) // 4 + 1
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def completion(model: str, text: str, counts: dict[str, int]) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [choice],
        "usage": counts,
    }


def chunk(model: str, text: str | None, finish: str | None = None) -> dict[str, Any]:
    delta = {} if text is None else {"role": "assistant", "content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model, "choices": [choice]}


def usage_chunk(model: str, counts: dict[str, int]) -> dict[str, Any]:
    return chunk(model, None) | {"choices": [], "usage": counts}


def embedding(text: str, size: int = 64) -> list[float]:
    """A vector of length 1 in which texts that share words lie near each other; the same in every process."""
    vector = [0.0] * size
    for word in WORD.findall(text.lower()):
        drawn = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        vector[int.from_bytes(drawn, "big") % size] += 1.0
    length = sqrt(sum(each * each for each in vector)) or 1.0
    return [each / length for each in vector]


def embedding_list(model: str, texts: list[str]) -> dict[str, Any]:
    rows = [
        {"object": "embedding", "index": at, "embedding": embedding(text)} for at, text in enumerate(texts)
    ]
    tokens = sum(len(text) // 4 + 1 for text in texts)
    counts = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": rows, "model": model, "usage": counts}


def texts_of(body: dict[str, Any]) -> list[str]:
    """What is to be embedded. Raises KeyError, TypeError."""
    given = body["input"]
    texts = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("input must be a text or a list of texts")
    return texts


def model_list(names: list[str]) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "owned_by": "loopback"} for name in names],
    }
