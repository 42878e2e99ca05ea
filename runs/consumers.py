"""The socket of live pages: says which runs changed, as HTML that htmx swaps by id.

A frame is rendered once per process and change, whatever the number of sockets; a socket sends at
most four a second of each run. Membership is checked at connect and again while the socket lives.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404

from runs import live, selectors
from runs.fragments import Frame, render_frame, render_summary
from runs.models import Run
from runs.sockets import sockets
from workspaces import access
from workspaces.access import Access
from workspaces.models import User, Workspace

COALESCE_S = 0.25
RECHECK_S = 20.0
OUTSIDER = 4404
FRAMES_KEPT = 400


@dataclass
class Kept:
    """A rendered frame and when its reading began."""

    frame: Frame | None
    began: float


class Renderer:
    """Frames of this process by (run, view, may edit), shared by its sockets."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str, bool], Kept] = {}
        self._locks: dict[tuple[int, str, bool], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._summaries: dict[int, tuple[float, str]] = {}

    async def frame(
        self, workspace: Workspace, run_id: int, view: str, can_edit: bool, since: float
    ) -> Frame | None:
        """A frame whose reading began after `since`; many askers cause one reading."""
        key = (run_id, view, can_edit)
        async with self._locks[key]:
            kept = self._kept.get(key)
            if kept is None or kept.began < since:
                began = time.monotonic()
                frame = await database_sync_to_async(render_frame)(workspace, run_id, view, can_edit)
                kept = self._kept[key] = Kept(frame, began)
                self._forget()
        return kept.frame

    async def summary(self, workspace: Workspace, since: float) -> str:
        kept = self._summaries.get(workspace.pk)
        if kept is None or kept[0] < since:
            kept = (time.monotonic(), await database_sync_to_async(render_summary)(workspace))
            self._summaries[workspace.pk] = kept
        return kept[1]

    def _forget(self) -> None:
        for key in list(self._kept)[: max(0, len(self._kept) - FRAMES_KEPT)]:
            del self._kept[key]
            self._locks.pop(key, None)


_renderers: dict[int, Renderer] = {}


def renderer() -> Renderer:
    """One per event loop; a test's loop has its own."""
    return _renderers.setdefault(id(asyncio.get_running_loop()), Renderer())


def access_now(user: Any, slug: str) -> Access:
    """As the database has the person now: a socket outlives what was read when it opened."""
    return access.access_for(User.objects.filter(pk=user.pk).first() or AnonymousUser(), slug)


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """`/ws/w/<slug>/?view=board`, or `?view=run&run=412`."""

    access_declared = "viewer"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            sockets.closed(self)

    async def connect(self) -> None:
        self.dirty: dict[int, float] = {}
        self.statuses: dict[int, str] = {}
        self.flusher: asyncio.Task[None] | None = None
        self.checked = time.monotonic()
        query = {key: values[-1] for key, values in parse_qs(self.scope["query_string"].decode()).items()}
        self.view = query.get("view", "board")
        run = query.get("run", "")
        self.run_id = int(run) if run.isdigit() and len(run) < 18 else 0
        found = await self._access()
        if found is None or self.view not in ("board", "run") or not await self._owns_run(found):
            await self.close(code=OUTSIDER)
            return
        self.access = found
        await self.accept()
        sockets.opened(self)
        self.group = live.group_of(found.workspace.pk)
        await self.channel_layer.group_add(self.group, self.channel_name)
        for run_id in await database_sync_to_async(self._first_runs)():
            self._mark(run_id)

    async def disconnect(self, code: int) -> None:
        if self.flusher:
            self.flusher.cancel()
        if hasattr(self, "group"):
            with contextlib.suppress(Exception):
                await self.channel_layer.group_discard(self.group, self.channel_name)

    async def _access(self) -> Access | None:
        slug = self.scope["url_route"]["kwargs"]["slug"]
        try:
            held: Access = await database_sync_to_async(access_now)(self.scope["user"], slug)
            return held
        except (Http404, PermissionDenied):
            return None

    async def _owns_run(self, held: Access) -> bool:
        if self.view != "run":
            return True
        return await Run.objects.filter(pk=self.run_id, workspace=held.workspace).aexists()

    def _first_runs(self) -> list[int]:
        """What may have changed between the page's rendering and now."""
        if self.view == "run":
            return [self.run_id]
        return list(
            Run.objects.filter(selectors.on_board(), workspace=self.access.workspace).values_list(
                "pk", flat=True
            )
        )

    async def run_changed(self, event: dict[str, Any]) -> None:
        """From the channel layer: marks the run; a frame follows within a quarter of a second."""
        if self.view == "board" or event["run"] == self.run_id:
            self._mark(event["run"])

    def _mark(self, run_id: int) -> None:
        self.dirty[run_id] = time.monotonic()
        if self.flusher is None or self.flusher.done():
            self.flusher = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        """Sends what is marked, until nothing is."""
        while self.dirty:
            await asyncio.sleep(COALESCE_S)
            if not await self._still_allowed():
                return
            marked, self.dirty = self.dirty, {}
            for run_id, since in marked.items():
                await self._send_run(run_id, since)
            if self.view == "board":
                await self._send(await renderer().summary(self.access.workspace, max(marked.values())))

    async def _still_allowed(self) -> bool:
        if time.monotonic() - self.checked > RECHECK_S:
            self.checked = time.monotonic()
            found = await self._access()
            if found is None:
                await self.close(code=OUTSIDER)
                return False
            self.access = found
        return True

    async def _send_run(self, run_id: int, since: float) -> None:
        frame = await renderer().frame(self.access.workspace, run_id, self.view, self.access.can_edit, since)
        if frame is None:
            if self.statuses.pop(run_id, None) and self.view == "board":
                await self._send(f'<article id="run-{run_id}" hx-swap-oob="delete"></article>')
            return
        known = self.statuses.get(run_id)
        self.statuses[run_id] = frame.status
        await self._send(frame.live if known == frame.status else frame.whole)

    async def _send(self, html: str) -> None:
        """A socket that is gone has nobody to tell."""
        with contextlib.suppress(Exception):
            await self.send(text_data=html)
