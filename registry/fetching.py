"""Fetching documents and files by GET, and sending by POST, under the same rules as calls to models.

It connects only to addresses that `registry.outbound` permits, also after a redirect, ignores proxy
variables, and ends at its limits of bytes and time.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from django.conf import settings
from yarl import URL

from registry.client import tls_context
from registry.exchange import CONNECT_TIMEOUT_S
from registry.outbound import AddressBlocked, Gate, GatedResolver

MAX_DOCUMENT_BYTES = 10 << 20
MAX_REDIRECTS = 5
SILENCE_S = 60.0
TOTAL_S = 1800.0
CHUNK = 1 << 18
REPORT_S = 0.3
REDIRECTS = (301, 302, 303, 307, 308)
T = TypeVar("T")
OnBytes = Callable[[int], None]


class FetchFailed(Exception):
    """It could not be fetched; the message says why, in words for the person who asked."""


class FetchBlocked(FetchFailed):
    """The policy forbids the address, so that another attempt is of no use."""


def fetch_json(url: str, *, bearer: str = "") -> Any:
    """A JSON document. The bearer's token goes to the host of `url` alone. Raises FetchFailed."""

    async def read(response: aiohttp.ClientResponse) -> Any:
        body = await response.content.read(MAX_DOCUMENT_BYTES + 1)
        while len(body) <= MAX_DOCUMENT_BYTES and (more := await response.content.readany()):
            body += more
        if len(body) > MAX_DOCUMENT_BYTES:
            raise FetchFailed(
                f"The answer of {response.url.host} is larger than {MAX_DOCUMENT_BYTES >> 20} MB."
            )
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise FetchFailed(f"{response.url.host} answered with something that is not JSON.") from error

    return asyncio.run(_get(url, read, bearer))


def fetch_file(url: str, path: Path, *, limit: int, on_bytes: OnBytes, bearer: str = "") -> int:
    """Writes the body to `path` and returns its size. Raises FetchFailed.

    `on_bytes` is called in this thread a few times a second, and may raise to stop.
    """
    download = Download(path, limit)
    with ThreadPoolExecutor(1) as pool:
        fetched = pool.submit(lambda: asyncio.run(_get(url, download.read, bearer)))
        try:
            while not wait([fetched], timeout=REPORT_S).done:
                on_bytes(download.size)
        except BaseException:
            download.stopped = True
            raise
    return fetched.result()


class Download:
    """A body on its way into a file."""

    def __init__(self, path: Path, limit: int):
        self.path, self.limit, self.size, self.stopped = path, limit, 0, False

    async def read(self, response: aiohttp.ClientResponse) -> int:
        with self.path.open("wb") as file:
            async for chunk in response.content.iter_chunked(CHUNK):
                self.size += len(chunk)
                if self.stopped or self.size > self.limit:
                    raise FetchFailed(f"The files are larger than the {self.limit >> 20} MB that are left.")
                file.write(chunk)
        return self.size


def post_body(url: str, body: bytes, headers: Mapping[str, str], *, total_s: float) -> int:
    """Sends a body and returns the status of the answer, which is not read. Follows no redirects.
    Raises FetchFailed."""

    async def send() -> int:
        address = _url(url)
        async with _session(address, total_s) as (session, gate):
            gate.check_literal(address.host or "")
            sent = {"user-agent": "Evalportal", **headers}
            async with session.post(address, data=body, allow_redirects=False, headers=sent) as response:
                return response.status

    return asyncio.run(send())


async def _get(url: str, read: Callable[[aiohttp.ClientResponse], Awaitable[T]], bearer: str) -> T:
    """What `read` makes of the 2xx answer at the end of the redirects."""
    address = _url(url)
    async with _session(address, TOTAL_S) as (session, gate):
        return await _follow(session, gate, address, read, bearer)


def _url(text: str) -> URL:
    """Raises FetchBlocked for what can be no address, whoever asks."""
    try:
        url = URL(text)
        known = bool(url.host)  # decoded here, where it may fail
    except ValueError:
        known = False
    if not known:
        raise FetchBlocked("This is no web address.")
    return url


@asynccontextmanager
async def _session(url: URL, total_s: float) -> AsyncIterator[tuple[aiohttp.ClientSession, Gate]]:
    """A session behind the gate; what goes wrong in it becomes FetchFailed."""
    gate = Gate(settings.OUTBOUND_ALLOW)
    connector = aiohttp.TCPConnector(
        ssl=tls_context(), resolver=GatedResolver(gate), socket_factory=gate.socket
    )
    timeout = aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_S)
    try:
        async with aiohttp.ClientSession(
            connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout
        ) as session:
            yield session, gate
    except AddressBlocked as error:
        raise FetchBlocked(str(error)) from error
    except TimeoutError as error:
        raise FetchFailed(f"{url.host} did not answer in time.") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        reason = str(error)[:200] or type(error).__name__
        raise FetchFailed(f"{url.host} could not be reached: {reason}") from error


async def _follow(
    session: aiohttp.ClientSession,
    gate: Gate,
    url: URL,
    read: Callable[[aiohttp.ClientResponse], Awaitable[T]],
    bearer: str,
) -> T:
    """A redirect never leads from TLS to plain text, nor takes the token to another host or port."""
    secure, origin = url.scheme == "https", url.origin()
    for _ in range(MAX_REDIRECTS + 1):
        if url.scheme not in ("http", "https") or (secure and url.scheme != "https"):
            raise FetchFailed(f"{url.host} led to an address that is not https.")
        gate.check_literal(url.host or "")
        headers = {"user-agent": "Evalportal"}
        if bearer and url.origin() == origin:
            headers["authorization"] = f"Bearer {bearer}"
        async with session.get(url, allow_redirects=False, headers=headers) as response:
            if response.status in REDIRECTS and "location" in response.headers:
                url = url.join(URL(response.headers["location"]))
                continue
            if not 200 <= response.status < 300:
                raise FetchFailed(f"{url.host} answered {response.status} for {url.path[:200]}.")
            return await read(response)
    raise FetchFailed(f"{url.host} redirects more than {MAX_REDIRECTS} times.")
