"""The socket of comparisons and the dashboard: says that a run has moved on; the page then reads again.

A comparison's figures are work, so a page asks for them itself, once a pause, and the process that
answers keeps what did not change. Membership is checked at connect and again while the socket lives.
"""

import asyncio
import contextlib
import time
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, QueryDict

from analysis.asking import asked
from runs import live
from runs.sockets import sockets
from workspaces.access import Access, access_for
from workspaces.models import User

PAUSE_S = 4.0
RECHECK_S = 20.0
OUTSIDER = 4404
READ_AGAIN = "<i data-reread hidden></i>"


def access_now(user: Any, slug: str) -> Access | None:
    """As the database has the person now; None for an outsider."""
    try:
        return access_for(User.objects.filter(pk=user.pk).first() or AnonymousUser(), slug)
    except (Http404, PermissionDenied):
        return None


class ChangesConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """`/ws/w/<slug>/changes/?runs=1,2`; without runs, of the whole workspace."""

    access_declared = "viewer"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            sockets.closed(self)

    async def connect(self) -> None:
        self.runs = set(asked(QueryDict(self.scope["query_string"])).runs)
        self.telling: asyncio.Task[None] | None = None
        self.moved = False
        found = await self._access()
        if found is None:
            await self.close(code=OUTSIDER)
            return
        await self.accept()
        sockets.opened(self)
        self.group = live.group_of(found.workspace.pk)
        await self.channel_layer.group_add(self.group, self.channel_name)

    async def disconnect(self, code: int) -> None:
        if self.telling:
            self.telling.cancel()
        if hasattr(self, "group"):
            with contextlib.suppress(Exception):
                await self.channel_layer.group_discard(self.group, self.channel_name)

    async def _access(self) -> Access | None:
        self.checked = time.monotonic()
        slug = self.scope["url_route"]["kwargs"]["slug"]
        found: Access | None = await database_sync_to_async(access_now)(self.scope["user"], slug)
        return found

    async def run_changed(self, event: dict[str, Any]) -> None:
        """From the channel layer; many changes within a pause are told once."""
        if self.runs and event["run"] not in self.runs:
            return
        self.moved = True
        if self.telling is None or self.telling.done():
            self.telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while self.moved:
            self.moved = False
            if time.monotonic() - self.checked > RECHECK_S and await self._access() is None:
                await self.close(code=OUTSIDER)
                return
            with contextlib.suppress(Exception):  # a socket that is gone has nobody to tell
                await self.send(text_data=READ_AGAIN)
            await asyncio.sleep(PAUSE_S)
