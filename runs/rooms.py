"""The open pages of a workspace in this process: they hear of changes once and share what is rendered.

A room listens to its workspace's channel for all its sockets. A change reaches hundreds of them as one
message, one reading and one rendering for each view, at most four times a second.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from typing import Any, Protocol

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404

from runs import live, selectors
from runs.fragments import Frame, render_frame, render_summary
from runs.models import Run
from workspaces import access
from workspaces.access import Access
from workspaces.models import User, Workspace

COALESCE_S = 0.25
RECHECK_S = 20.0
REJOIN_S = 30.0  # Redis forgets groups when it is emptied
RETRY_S = 1.0
FRAMES_KEPT = 400
logger = logging.getLogger(__name__)


class Watcher(Protocol):
    """An open page: the board, or one run."""

    view: str
    run_id: int
    user: Any
    statuses: dict[int, str]  # of the runs it shows, as it last heard

    async def show(self, run_id: int, frame: Frame | None) -> None: ...

    async def show_summary(self, html: str) -> None: ...

    async def turn_away(self) -> None:
        """Its person may no longer look."""


Key = tuple[int, str, bool, str]  # run, view, may edit, the status that the page knows


class Room:
    """Lives as long as someone is in it."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self.watchers: set[Watcher] = set()
        self.new: set[Watcher] = set()
        self.changed: set[int] = set()
        self.frames: dict[Key, Frame | None] = {}  # still true
        self.allowed: dict[int, tuple[float, Access | None]] = {}
        self.wake = asyncio.Event()
        self.tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._serve())]

    def enter(self, watcher: Watcher, held: Access) -> None:
        """It is sent at once what may have changed since its page was rendered."""
        self.watchers.add(watcher)
        self.new.add(watcher)
        self.allowed[watcher.user.pk] = (time.monotonic(), held)
        self.wake.set()

    def leave(self, watcher: Watcher) -> None:
        self.watchers.discard(watcher)
        self.new.discard(watcher)

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()

    # -- hearing -------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        layer, group = get_channel_layer(), live.group_of(self.workspace.pk)
        channel = await layer.new_channel()
        try:
            while True:
                try:
                    await layer.group_add(group, channel)
                    await self._hear(layer, channel)
                except Exception as error:
                    logger.warning("pages hear nothing for %s s: %r", RETRY_S, error)
                    await asyncio.sleep(RETRY_S)
                    self.new |= self.watchers  # they may have missed something
                    self.wake.set()
        finally:
            with contextlib.suppress(Exception):
                await layer.group_discard(group, channel)

    async def _hear(self, layer: Any, channel: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REJOIN_S):
                while True:
                    message = await layer.receive(channel)
                    self.changed.add(message["run"])
                    self.wake.set()

    # -- telling -------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            await self.wake.wait()
            await asyncio.sleep(COALESCE_S)
            self.wake.clear()
            try:
                await self._tell()
            except Exception:  # a database that is away for a moment must not end live pages
                logger.exception("pages of workspace %s", self.workspace.pk)
                await asyncio.sleep(RETRY_S)
                self.new |= self.watchers
                self.wake.set()

    async def _tell(self) -> None:
        changed, self.changed = self.changed, set()
        new, self.new = self.new, set()
        for key in [key for key in self.frames if key[0] in changed]:
            del self.frames[key]
        board = any(watcher.view == "board" for watcher in new)
        shown = await database_sync_to_async(self._on_board)() if board else set()
        shown |= {watcher.run_id for watcher in new if watcher.view == "run"}
        for run_id in sorted(changed | shown):
            audience = self.watchers if run_id in changed else new & self.watchers
            await self._tell_run(
                run_id, [each for each in audience if each.view == "board" or each.run_id == run_id]
            )
        if any(watcher.view == "board" for watcher in (self.watchers if changed else new)):
            html = await database_sync_to_async(render_summary)(self.workspace)
            for watcher in [each for each in self.watchers if each.view == "board"]:
                await watcher.show_summary(html)

    def _on_board(self) -> set[int]:
        runs = Run.objects.filter(selectors.on_board(), workspace=self.workspace)
        return set(runs.values_list("pk", flat=True))

    async def _tell_run(self, run_id: int, audience: Iterable[Watcher]) -> None:
        for watcher in audience:
            held = await self._access(watcher)
            if held is None:
                self.leave(watcher)
                await watcher.turn_away()
                continue
            key = (run_id, watcher.view, held.can_edit, watcher.statuses.get(run_id, ""))
            await watcher.show(run_id, await self._frame(key))

    async def _frame(self, key: Key) -> Frame | None:
        if key not in self.frames:
            for old in list(self.frames)[: max(0, len(self.frames) - FRAMES_KEPT)]:
                del self.frames[old]
            self.frames[key] = await database_sync_to_async(render_frame)(self.workspace, *key)
        return self.frames[key]

    async def _access(self, watcher: Watcher) -> Access | None:
        """Of the person, as the database had it a few seconds ago."""
        at, held = self.allowed.get(watcher.user.pk, (float("-inf"), None))
        if time.monotonic() - at > RECHECK_S:
            at, held = time.monotonic(), await access_now(watcher.user, self.workspace.slug)
            self.allowed[watcher.user.pk] = (at, held)
        return held


async def access_now(user: Any, slug: str) -> Access | None:
    """What a person may do there, read again: a socket outlives what was read when it opened."""
    try:
        held: Access = await database_sync_to_async(_access)(user.pk, slug)
        return held
    except (Http404, PermissionDenied):
        return None


def _access(user_id: Any, slug: str) -> Access:
    return access.access_for(User.objects.filter(pk=user_id).first() or AnonymousUser(), slug)


_rooms: dict[tuple[int, int], Room] = {}  # by event loop (a test's has its own) and workspace


def enter(watcher: Watcher, held: Access) -> None:
    key = _key(held.workspace.pk)
    if key not in _rooms:
        _rooms[key] = Room(held.workspace)
    _rooms[key].enter(watcher, held)


def leave(watcher: Watcher, workspace_id: int) -> None:
    """The last one closes the room."""
    room = _rooms.get(_key(workspace_id))
    if room is not None:
        room.leave(watcher)
        if not room.watchers:
            room.close()
            del _rooms[_key(workspace_id)]


def _key(workspace_id: int) -> tuple[int, int]:
    return id(asyncio.get_running_loop()), workspace_id
