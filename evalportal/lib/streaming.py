"""Streamed answers that stay small under ASGI, where Django reads a plain iterator to its end first."""

from collections.abc import AsyncIterator, Iterable, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

CHUNK_BYTES = 64 << 10


def chunked(parts: Iterable[str | bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of about CHUNK_BYTES."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        held.append(data)
        size += len(data)
        if size >= CHUNK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


async def _in_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    following = sync_to_async(lambda: next(chunks, None))
    while (chunk := await following()) is not None:
        yield chunk


def download(
    request: HttpRequest, parts: Iterable[str | bytes], *, filename: str, content_type: str
) -> StreamingHttpResponse:
    """A file made while it is sent. `parts` may query the database."""
    chunks = chunked(parts)
    content = _in_thread(chunks) if isinstance(request, ASGIRequest) else chunks
    response = StreamingHttpResponse(content, content_type=content_type)
    quoted = filename.replace("\\", "_").replace('"', "_")
    response.headers["Content-Disposition"] = f'attachment; filename="{quoted}"'
    response.headers["X-Accel-Buffering"] = "no"
    return response
