"""The socket of live pages: says which runs changed, as HTML that htmx swaps by id.

Membership is checked at connect, and again while the socket lives by its room, which also renders.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer

from runs import rooms
from runs.fragments import Frame, news
from runs.sockets import sockets

OUTSIDER = 4404
MESSAGE_CHARS = 100_000  # of several runs; the server sends no message above 1 MB


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """`/ws/w/<slug>/?view=board`, or `?view=run&run=412`."""

    access_declared = "viewer"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            sockets.closed(self)
            if self.workspace_id:
                rooms.leave(self, self.workspace_id)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.workspace_id = self.run_id = 0
        self.view = "board"
        self.seen: dict[int, Frame] = {}

    async def connect(self) -> None:
        query = {key: values[-1] for key, values in parse_qs(self.scope["query_string"].decode()).items()}
        self.view, run = query.get("view", "board"), query.get("run", "")
        if self.view == "run":
            self.run_id = int(run) if run.isdigit() and len(run) < 18 else 0
        self.user, slug = self.scope["user"], self.scope["url_route"]["kwargs"]["slug"]
        known = self.view == "board" or self.run_id
        found = await rooms.access_now(self.user, slug, self.run_id) if known else None
        if found is None:
            await self.close(code=OUTSIDER)
            return
        await self.accept()
        sockets.opened(self)
        self.workspace_id = found.workspace.pk
        rooms.enter(self, found)

    async def tell(self, frames: Mapping[int, Frame | None], summary: str) -> None:
        """What the page does not know yet, in as few messages as hold it."""
        news = [self._news(run_id, frame) for run_id, frame in frames.items()]
        for html in bundled([*news, summary]):
            with contextlib.suppress(Exception):  # a socket that is gone has nobody to tell
                await self.send(text_data=html)

    def _news(self, run_id: int, frame: Frame | None) -> str:
        seen = self.seen.pop(run_id, None)
        if frame is None:
            was_there = seen is not None and self.view == "board"
            return f'<article id="run-{run_id}" hx-swap-oob="delete"></article>' if was_there else ""
        self.seen[run_id] = frame
        return news(frame, seen)

    async def turn_away(self) -> None:
        with contextlib.suppress(Exception):
            await self.close(code=OUTSIDER)


def bundled(parts: Iterable[str]) -> Iterator[str]:
    """The parts in their order, joined to messages; one that is larger than a message goes alone."""
    message = ""
    for part in parts:
        if message and len(message) + len(part) > MESSAGE_CHARS:
            yield message
            message = ""
        message += part
    if message:
        yield message
