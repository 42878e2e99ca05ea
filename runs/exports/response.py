"""An export as a streaming answer, for pages and API."""

from collections.abc import AsyncIterator, Iterator
from typing import cast

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from runs.exports import EXPORTS, Export
from runs.models import Run


def export_response(request: HttpRequest, run: Run, kind: str) -> HttpResponse:
    """Raises UnknownPlugin for a kind that is not in the table."""
    export: Export = EXPORTS[kind]
    stream = export.stream(run)
    response = StreamingHttpResponse(
        # Under ASGI Django would gather a plain iterator whole before it sends the first byte.
        in_thread(stream) if isinstance(request, ASGIRequest) else stream,
        content_type=export.media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{export.filename(run)}"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        },
    )
    return cast(HttpResponse, response)


async def in_thread(stream: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each piece is made in the request's thread, where its database connection is."""
    following = sync_to_async(lambda: next(stream, None), thread_sensitive=True)
    while (piece := await following()) is not None:
        yield piece
