"""One request and its answer over a pooled connection: what a call needs of HTTP, and no more.

aiohttp's connector opens, checks and keeps the connections, and its parser reads the answers. The request
is written here, since all requests to one address begin with the same bytes: `ClientSession` merges headers,
cookies, redirects and proxies anew for each, which took two thirds of a call (docs/adr/0009-one-exchange.md).
"""

import asyncio
from dataclasses import dataclass

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

CONNECT_TIMEOUT_S = 15.0
TIMEOUT = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S)  # the rest is under the call's deadline
SCHEMES = ("http", "https")
PIECE = 1 << 16  # bytes of a request: so an encrypted connection, too, tells what it could not send yet


@dataclass(frozen=True, slots=True)
class Target:
    """An address and method, and the bytes that every request to it begins with."""

    request: aiohttp.ClientRequest  # tells the connector where to connect; it is never sent
    head: bytes


@dataclass(slots=True)
class Response:
    """An answer of which the head has come. `release` it in any case."""

    status: int
    headers: CIMultiDictProxy[str]
    content: aiohttp.StreamReader
    connection: Connection

    def release(self) -> None:
        """Gives the connection back; closes it where something is left to be read or sent."""
        if self.content.at_eof() and not _unsent(self.connection):
            self.connection.release()
        else:
            _close(self.connection)


def target(method: str, url: URL, headers: CIMultiDict[str]) -> Target:
    """Of the running loop. Raises ValueError, without the address, for what cannot be sent."""
    if url.scheme not in SCHEMES or not url.raw_host:
        raise ValueError("The base URL is no http address.")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError("The base URL holds a name or password.")
    request = aiohttp.ClientRequest(method, url, headers=headers, loop=asyncio.get_running_loop())
    lines = [f"{method} {url.raw_path_qs} HTTP/1.1"]
    lines += [
        f"{name}: {value}" for name, value in request.headers.items() if name.lower() != "content-length"
    ]
    if any(mark in line for line in lines for mark in "\r\n\0"):
        raise ValueError("A header holds a line break.")
    return Target(request, "".join(f"{line}\r\n" for line in lines).encode("ascii"))


async def exchange(connector: aiohttp.TCPConnector, to: Target, body: bytes | None = None) -> Response:
    """Sends one request and waits for the head of its answer; what goes wrong is aiohttp's error."""
    connection = await _connected(connector, to)
    try:
        protocol, transport = connection.protocol, connection.transport
        assert protocol is not None and transport is not None
        protocol.set_response_params(read_until_eof=True, auto_decompress=False)
        length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
        request = b"%b%b\r\n%b" % (to.head, length, body or b"")
        for at in range(0, len(request), PIECE):
            transport.write(request[at : at + PIECE])
        while True:
            message, content = await protocol.read()
            if message.code == 101 or not 100 <= message.code < 200:
                return Response(message.code, message.headers, content, connection)
    except HttpProcessingError as error:
        _close(connection)
        raise aiohttp.ClientResponseError(
            to.request.request_info, (), status=error.code, message=error.message
        ) from None
    except BaseException:
        _close(connection)
        raise


async def _connected(connector: aiohttp.TCPConnector, to: Target) -> Connection:
    """One on which nothing has come unasked: that would be taken for the answer."""
    try:
        connection = await connector.connect(to.request, traces=[], timeout=TIMEOUT)
        while connection.protocol is not None and len(connection.protocol):
            _close(connection)
            connection = await connector.connect(to.request, traces=[], timeout=TIMEOUT)
    except TimeoutError as error:
        raise aiohttp.ConnectionTimeoutError("The connection was not made in time.") from error
    return connection


def _unsent(connection: Connection) -> int:
    """Bytes of the request that the endpoint has not taken yet."""
    return connection.transport.get_write_buffer_size() if connection.transport else 0


def _close(connection: Connection) -> None:
    """At once: a connection that is closed politely lives on until the endpoint has taken the request."""
    if connection.transport and _unsent(connection):
        connection.transport.abort()
    connection.close()
