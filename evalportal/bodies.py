"""Large request bodies under Daphne, kept on disk until Django reads them.

Twisted spools a body to a file but then parses forms from it in memory, on the event loop (2 GB and
15 s for an upload of 200 MB), and Daphne queues the whole of it again. Here forms are left to Django
and the queue holds places in the file.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

from daphne import http_protocol
from django.conf import settings

TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
FORM_AROUND_A_FILE = 1 << 20
Application = Callable[..., Awaitable[None]]


def most_bytes() -> int:
    """Of one request: the largest upload with the form around it."""
    return int(settings.UPLOAD_MAX_BYTES) + FORM_AROUND_A_FILE


class FilePart:
    """A place in a spooled body; holds its own handle, since Twisted closes the original."""

    def __init__(self, file: Any, offset: int, size: int):
        self.file, self.offset, self.size = file, offset, size

    def __len__(self) -> int:
        return self.size

    def read(self) -> bytes:
        return os.pread(self.file.fileno(), self.size, self.offset)


class SpooledBody:
    """Stands for Twisted's temporary file: reading in pieces gives places instead of bytes."""

    def __init__(self, content: Any):
        content.flush()
        self.content = content
        self.file = os.fdopen(os.dup(content.fileno()), "rb")
        self.size = os.fstat(self.file.fileno()).st_size

    def read(self, size: int = -1) -> FilePart | bytes:
        if size < 0:
            rest: bytes = self.content.read()
            return rest
        at = self.content.tell()
        part = FilePart(self.file, at, max(0, min(size, self.size - at)))
        self.content.seek(at + len(part))
        return part

    def __getattr__(self, name: str) -> Any:
        return getattr(self.content, name)


class Request(http_protocol.WebRequest):  # type: ignore[misc]
    """Daphne's request, without the parsing and copying of its body."""

    content: Any

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._parsePOSTFormSubmission = False

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        self.received = 0
        self.refused = False
        if length and length > most_bytes():
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        self.received += len(data)
        if not self.refused and self.received > most_bytes():
            self._refuse()
        if not self.refused:
            super().handleContentChunk(data)

    def _refuse(self) -> None:
        """At once, whoever asks: nothing of a body that no page takes is kept."""
        self.refused = True
        self.channel.transport.write(TOO_LARGE)
        self.channel.loseConnection()

    def process(self) -> Any:
        if self.refused:
            return None
        if hasattr(self.content, "fileno") and not hasattr(self.content, "getbuffer"):
            self.content = SpooledBody(self.content)
        return super().process()


http_protocol.WebRequest = Request


def streamed(application: Application) -> Application:
    """Reads each piece of a body from the file at the moment it is asked for."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def receive_bytes() -> Any:
            message = await receive()
            body = message.get("body")
            return message | {"body": body.read()} if isinstance(body, FilePart) else message

        await application(scope, receive_bytes, send)

    return wrapped
