"""The only code that calls out: one pooled HTTP client per asyncio loop, with the portal's limits.

It connects to addresses that `registry.outbound` permits, follows no redirects, ignores proxy
variables, ends every call at its deadline, and reads at most 10 MB. Retrying is the caller's job.
"""

import asyncio
import ssl
import time
import zlib
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import aiohttp
import httpx
from django.conf import settings
from multidict import CIMultiDict
from yarl import URL

from registry import failures, rules
from registry.calls import CallFailed, ChatRequest, Completion, Embeddings, EmbedRequest, Endpoint
from registry.exchange import Response, Target, exchange, target
from registry.outbound import Gate, GatedResolver
from registry.protocols import PROTOCOLS
from registry.protocols.base import Answer, BadAnswer, WireFormat, parsed
from registry.sse import EventLines

__all__ = ["CallFailed", "ChatRequest", "Client", "Completion", "EmbedRequest", "Embeddings", "Endpoint"]

MAX_BODY_BYTES = 10 << 20
MAX_ERROR_BYTES = 64 << 10
KEEPALIVE_S = 55.0  # idle, for the next run: load balancers commonly close after 60 s
END_OF_STREAM_S = 0.1
PREPARED_KEPT = 512
JSON = "application/json"
FIXED_HEADERS = {
    "accept": "application/json, text/event-stream",
    "accept-encoding": "identity",
    "content-type": JSON,
    "user-agent": "Evalportal",
}
OnText = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What all calls to one endpoint share."""

    endpoint: Endpoint
    wire: WireFormat
    chat: Target
    models: Target
    embeddings: Target
    secrets: failures.Secrets


class Client:
    """Belongs to the loop of its first call; `aclose` it there."""

    def __init__(self, *, max_connections: int = 4096):
        self.max_connections = max_connections
        self.gate = Gate(settings.OUTBOUND_ALLOW)
        self._opened: aiohttp.TCPConnector | None = None
        self._prepared: dict[int, Prepared] = {}
        tls_context()  # reading the certificates takes tens of milliseconds: no call waits for that

    async def complete(
        self, endpoint: Endpoint, request: ChatRequest, on_text: OnText | None = None
    ) -> Completion:
        """One chat completion; `on_text` gets each piece as it streams in. Raises CallFailed."""
        started = time.perf_counter()
        first_token_ms: int | None = None

        async def read(response: Response, prepared: Prepared) -> tuple[Answer, int]:
            nonlocal first_token_ms
            if request.stream and _is_event_stream(response):
                answer, first_token_ms = await _streamed(response, prepared.wire, on_text, started)
            else:
                answer = _understood(prepared.wire.answer, await _body(response))
                if on_text is not None:
                    on_text(answer.text)
            return answer, response.status

        answer, status = await self._ask(endpoint, request, read, started)
        return Completion(
            text=answer.text,
            finish_reason=answer.finish_reason,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            latency_ms=_ms_since(started),
            first_token_ms=first_token_ms,
            status_code=status,
        )

    async def embed(self, endpoint: Endpoint, request: EmbedRequest) -> Embeddings:
        """A vector for each text, in one call. Raises CallFailed."""
        started = time.perf_counter()

        async def read(response: Response, prepared: Prepared) -> Embeddings:
            count = len(request.texts)
            found = _understood(lambda body: prepared.wire.embeddings(body, count), await _body(response))
            return Embeddings(found.rows, found.input_tokens, _ms_since(started), response.status)

        return await self._ask(endpoint, request, read, started)

    async def list_models(self, endpoint: Endpoint) -> list[str]:
        """The names that the endpoint says it serves, sorted. Raises CallFailed."""

        async def read(response: Response, prepared: Prepared) -> list[str]:
            return _understood(prepared.wire.models, await _body(response))

        return await self._ask(endpoint, None, read, time.perf_counter())

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def _connector(self) -> aiohttp.TCPConnector:
        """Made at the first call, inside the loop."""
        if self._opened is None:
            self._opened = aiohttp.TCPConnector(
                limit=self.max_connections,
                ssl=tls_context(),
                keepalive_timeout=KEEPALIVE_S,
                ttl_dns_cache=60,
                resolver=GatedResolver(self.gate),
                socket_factory=self.gate.socket,
            )
        return self._opened

    async def _ask(
        self,
        endpoint: Endpoint,
        request: ChatRequest | EmbedRequest | None,
        read: Callable[[Response, Prepared], Awaitable[T]],
        started: float,
    ) -> T:
        """What `read` makes of a 2xx answer, under the deadline; all that can go wrong becomes CallFailed.

        Asks for a completion or embeddings, or without a request for the list of models.
        """
        secrets: failures.Secrets = ()
        try:
            prepared = self._prepare(endpoint)
            secrets = prepared.secrets
            async with asyncio.timeout(endpoint.timeout_s):
                response = await self._send(prepared, request)
                try:
                    if not 200 <= response.status < 300:
                        raise await _refusal(response, prepared)
                    return await read(response, prepared)
                finally:
                    response.release()
        except CallFailed as failed:
            failed.latency_ms = _ms_since(started)
            raise
        except Exception as error:
            failure = failures.failure_of(error, endpoint, secrets)
            if failure is None:
                raise
            failure.latency_ms = _ms_since(started)
            raise failure from None  # the cause may hold the request with its key

    def _send(
        self, prepared: Prepared, request: ChatRequest | EmbedRequest | None
    ) -> Coroutine[Any, Any, Response]:
        if request is None:
            return exchange(self._connector(), prepared.models)
        if isinstance(request, EmbedRequest):
            return exchange(self._connector(), prepared.embeddings, prepared.wire.embeddings_body(request))
        return exchange(self._connector(), prepared.chat, prepared.wire.body(request))

    def _prepare(self, endpoint: Endpoint) -> Prepared:
        """Kept by identity: callers use one Endpoint for many calls."""
        known = self._prepared.get(id(endpoint))
        if known is not None and known.endpoint is endpoint:
            return known
        made = prepare(endpoint)
        self.gate.check_literal(made.chat.request.url.host or "")
        if len(self._prepared) >= PREPARED_KEPT:
            self._prepared.clear()
        self._prepared[id(endpoint)] = made
        return made


def prepare(endpoint: Endpoint) -> Prepared:
    """Of the running loop."""
    wire: WireFormat = PROTOCOLS[endpoint.protocol]()
    api_key = endpoint.api_key.reveal()
    extra = {name.lower(): value for name, value in endpoint.headers.items()}
    headers = _sendable({**FIXED_HEADERS, **wire.headers(api_key), **extra})
    return Prepared(
        endpoint=endpoint,
        wire=wire,
        chat=target("POST", endpoint_url(endpoint.base_url, wire.chat_path), headers),
        models=target("GET", endpoint_url(endpoint.base_url, wire.models_path), headers),
        embeddings=target("POST", endpoint_url(endpoint.base_url, wire.embeddings_path), headers),
        secrets=failures.secrets_of(
            api_key, (*endpoint.headers.values(), *rules.query_values(endpoint.base_url))
        ),
    )


def endpoint_url(base_url: str, path: str) -> URL:
    """The path under the base URL; a query that the base URL carries stays. Raises httpx.InvalidURL."""
    base = httpx.URL(base_url)
    return URL(str(base.copy_with(path=base.path.rstrip("/") + path, fragment=None)))


def _sendable(headers: dict[str, str]) -> CIMultiDict[str]:
    """Raises UnicodeEncodeError for what HTTP cannot send."""
    for name, value in headers.items():
        f"{name}{value}".encode("ascii")
    return CIMultiDict(headers)


@cache
def tls_context() -> ssl.SSLContext:
    """Verifying, with the bundled certificates and the machine's own (a company's authority)."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


class Inflow:
    """Counts a body as it comes in and unpacks it within the limit."""

    def __init__(self, response: Response, limit: int = MAX_BODY_BYTES):
        self.left = limit
        packing = response.headers.get("content-encoding", "identity").lower()
        if packing not in ("identity", "", "gzip", "deflate"):
            raise BadAnswer("malformed", f"The answer is packed as {packing[:20]}, which was not asked for.")
        self.unpacker = zlib.decompressobj(wbits=47) if packing in ("gzip", "deflate") else None

    def take(self, chunk: bytes) -> bytes:
        """Raises CallFailed (too_large) past the limit."""
        if self.unpacker is not None:
            try:
                chunk = self.unpacker.decompress(chunk, self.left + 1)
            except zlib.error:
                raise BadAnswer("malformed", "The answer's compression is broken.")
        self.left -= len(chunk)
        if self.left < 0:
            raise CallFailed(
                "too_large", f"The answer is larger than {MAX_BODY_BYTES >> 20} MB.", status_code=200
            )
        return chunk


async def _body(response: Response) -> bytes:
    inflow, chunks = Inflow(response), []
    while chunk := await response.content.readany():
        chunks.append(inflow.take(chunk))
    return b"".join(chunks)


async def _refusal(response: Response, prepared: Prepared) -> CallFailed:
    """Reads the beginning of an error's body; that it breaks off or goes on for ever does not matter."""
    kept = b""
    try:
        inflow = Inflow(response)
        while len(kept) < MAX_ERROR_BYTES and (chunk := await response.content.readany()):
            kept += inflow.take(chunk)
    except (CallFailed, BadAnswer, aiohttp.ClientError):
        pass
    said = prepared.wire.error(failures.as_json(kept))
    return failures.refusal(response.status, response.headers, kept[:MAX_ERROR_BYTES], said, prepared.secrets)


async def _streamed(
    response: Response, wire: WireFormat, on_text: OnText | None, started: float
) -> tuple[Answer, int | None]:
    """The answer of an event stream, and when its first text came."""
    reader, lines, inflow = wire.stream_reader(), EventLines(), Inflow(response)
    first_token_ms: int | None = None

    def feed(events: list[str]) -> None:
        nonlocal first_token_ms
        for data in events:
            text = reader.feed(data)
            if text and first_token_ms is None:
                first_token_ms = _ms_since(started)
            if text and on_text is not None:
                on_text(text)

    while chunk := await response.content.readany():
        feed(lines.feed(inflow.take(chunk)))
        if reader.done:
            await _drain(response, inflow)
            break
    else:
        feed(lines.rest())
    return reader.answer(), first_token_ms


async def _drain(response: Response, inflow: Inflow) -> None:
    """Reads on to the body's end, if it comes at once: only then the connection can be used again."""
    with suppress(TimeoutError, aiohttp.ClientError, CallFailed):
        async with asyncio.timeout(END_OF_STREAM_S):
            while chunk := await response.content.readany():
                inflow.take(chunk)


def _is_event_stream(response: Response) -> bool:
    return "event-stream" in response.headers.get("content-type", "")


def _understood(read: Callable[[Any], T], body: bytes) -> T:
    """The body, decoded and read. Raises BadAnswer that keeps the body's beginning."""
    try:
        return read(parsed(body))
    except (ValueError, RecursionError):
        bad = BadAnswer("malformed", "The endpoint answered with something that is not JSON.")
    except BadAnswer as found:
        bad = found
    bad.body = body[:MAX_ERROR_BYTES]
    raise bad


def _ms_since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
