"""What of a connection survives a call: only one with nothing left to be read or sent is used again."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from registry import client as client_module
from registry.client import CallFailed, ChatRequest, Client
from tests.registry.certificates import serving_tls, trusting
from tests.registry.raw_endpoint import Seen, answer, chat

LARGE = "x" * (24 << 20)  # more than the machine's socket buffers hold
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Any]


class Kept(Seen):
    """Counts the connections that were made."""

    made = 0


@asynccontextmanager
async def keeping(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[Kept]:
    """An endpoint whose connections stay open as long as `serve` (reader, writer, number) does not end."""
    seen = Kept()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.made += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer, seen.made)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=tls)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()


async def head_of(reader: asyncio.StreamReader) -> int:
    """Takes a request's head; the length of its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    return int(head.partition(b"content-length:")[2].split(b"\r\n")[0])


def reply(text: str, status: str = "200 OK") -> bytes:
    body = json.dumps(answer(text)).encode()
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str) -> None:
    await reader.readexactly(await head_of(reader))
    writer.write(reply(text))
    await writer.drain()


async def test_what_goes_before_the_answer_is_passed_over() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            length = await head_of(reader)
            writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" + reply("there"))

    async with keeping(serve) as seen, Client() as client:
        endpoint = seen.endpoint()
        texts = [(await client.complete(endpoint, chat())).text for _ in range(3)]
    assert texts == ["there"] * 3 and seen.made == 1


async def test_answer_of_a_call_that_was_given_up_reaches_no_other() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            await reader.readexactly(await head_of(reader))
            if number == 1:
                await asyncio.sleep(0.3)
            writer.write(reply(f"of connection {number}"))

    async with keeping(serve) as seen, Client() as client:
        with pytest.raises(CallFailed) as caught:
            await client.complete(seen.endpoint(timeout_s=0.1), chat())
        done = await client.complete(seen.endpoint(), chat())
    assert caught.value.kind == "timeout" and done.text == "of connection 2"


@pytest.mark.parametrize("encrypted", [False, True])
async def test_refused_before_the_request_was_taken(
    encrypted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint says 413 and reads no further: the connection is of no use, and the rest is not sent."""
    cut_off, scheme, tls = asyncio.Event(), "http", None
    if encrypted:
        scheme, tls = "https", serving_tls(tmp_path)
        monkeypatch.setattr(client_module, "tls_context", lambda: trusting(tmp_path))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        if number > 1:
            return await whole(reader, writer, "short")
        length = await head_of(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}")
        await asyncio.sleep(0.2)
        try:
            await reader.readexactly(length)
        except (ConnectionError, asyncio.IncompleteReadError):
            cut_off.set()

    large = ChatRequest("some-model", [{"role": "user", "content": LARGE}], {})
    async with keeping(serve, tls) as seen, Client() as client:
        endpoint = seen.endpoint(base_url=f"{scheme}://127.0.0.1:{seen.port}/v1")
        with pytest.raises(CallFailed) as caught:
            await client.complete(endpoint, large)
        done = await client.complete(endpoint, chat())
        await asyncio.wait_for(cut_off.wait(), 5)
    assert caught.value.status_code == 413 and done.text == "short" and seen.made == 2


async def test_large_request_arrives_whole() -> None:
    took = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        nonlocal took
        took = await head_of(reader)
        asked = json.loads(await reader.readexactly(took))
        writer.write(reply(str(len(asked["messages"][0]["content"]))))

    large = ChatRequest("some-model", [{"role": "user", "content": LARGE}], {})
    async with keeping(serve) as seen, Client() as client:
        done = await client.complete(seen.endpoint(), large)
    assert done.text == str(len(LARGE)) and took > len(LARGE)


async def test_endpoint_that_ends_its_connections() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await whole(reader, writer, f"of connection {number}")

    async with keeping(serve) as seen, Client() as client:
        endpoint, texts = seen.endpoint(), list[str]()
        for _ in range(3):
            texts.append((await client.complete(endpoint, chat())).text)
            await asyncio.sleep(0.05)  # the end has come
    assert texts == [f"of connection {number}" for number in (1, 2, 3)]


async def test_what_comes_unasked_is_no_answer() -> None:
    """A second response to one request would be taken for the answer to the next."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            await whole(reader, writer, f"of connection {number}")
            await asyncio.sleep(0.02)
            writer.write(reply("unasked"))

    async with keeping(serve) as seen, Client() as client:
        endpoint, texts = seen.endpoint(), list[str]()
        for _ in range(3):
            texts.append((await client.complete(endpoint, chat())).text)
            await asyncio.sleep(0.05)
    assert texts == [f"of connection {number}" for number in (1, 2, 3)]


@pytest.mark.parametrize("base_url", ["ws://x.example/v1?key=sesame", "http://u:sesame@x.example/v1"])
async def test_address_that_cannot_be_called_is_not_repeated(base_url: str) -> None:
    async with Client() as client:
        with pytest.raises(CallFailed) as caught:
            await client.complete(Kept().endpoint(base_url=base_url), chat())
    assert caught.value.kind == "bad_request" and "sesame" not in caught.value.message
