"""An endpoint that sends exactly the bytes a test wants, for what a well-behaved server never does."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from evalportal.lib.secret_fields import Secret
from registry.client import ChatRequest, Endpoint

Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


class Seen:
    """What clients sent, and where the server listens."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[Any] = []
        self.port = 0

    def endpoint(self, **values: Any) -> Endpoint:
        known: dict[str, Any] = {
            "provider_id": 1, "protocol": "openai_chat", "base_url": f"http://127.0.0.1:{self.port}/v1",
            "api_key": Secret(""), "headers": {}, "timeout_s": 5.0,
        }  # fmt: skip
        return Endpoint(**(known | values))


@asynccontextmanager
async def raw_endpoint(reply: bytes | Talk) -> AsyncIterator[Seen]:
    """Answers every request with these bytes and closes, or lets `reply` talk."""
    seen = Seen()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            seen.heads.append(head)
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length")
                ),
                0,
            )
            body = await reader.readexactly(length)
            seen.bodies.append(json.loads(body) if body else None)
            if isinstance(reply, bytes):
                writer.write(reply)
                await writer.drain()
            else:
                await reply(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()


def response(body: Any, status: str = "200 OK", **headers: str) -> bytes:
    """A whole response; what is no bytes goes out as JSON. `retry_after` is the header Retry-After."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(data)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def answer(content: Any, **message: Any) -> dict[str, Any]:
    return {
        "choices": [{"index": 0, "message": {"content": content, **message}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 5},
    }


def events(*data: Any, end: str = "data: [DONE]\n\n") -> bytes:
    """An event stream that ends with its connection."""
    texts = [item if isinstance(item, str) else f"data: {json.dumps(item)}\n\n" for item in data]
    return SSE + ("".join(texts) + end).encode()


def delta(content: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content, **more}, "finish_reason": finish}]}


def chat(text: str = "hello", *, stream: bool = False, **params: Any) -> ChatRequest:
    return ChatRequest("some-model", [{"role": "user", "content": text}], params, stream)
