"""The open pages of a workspace in this process: they hear of changes once and share what is rendered.

A room listens to its workspace's channel for all its sockets. A change reaches hundreds of them as one
message, one reading and one rendering for each view, at most four times a second.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar, cast

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404

from runs import live, selectors
from runs.fragments import CALM_S, Drawn, Frame, Wanted, render_frames, render_summary
from runs.models import Run
from workspaces import access
from workspaces.access import Access
from workspaces.models import User, Workspace

COALESCE_S = 0.25
RECHECK_S = 20.0
REJOIN_S = 30.0  # Redis forgets groups when it is emptied
RETRY_S = 1.0
FRAMES_KEPT = 400
T = TypeVar("T")
logger = logging.getLogger(__name__)


class Watcher(Protocol):
    """An open page: the board, or one run."""

    view: str
    run_id: int
    user: Any
    seen: dict[int, Frame]  # of the runs it shows, as it last heard

    async def tell(self, frames: Mapping[int, Frame | None], summary: str) -> None: ...

    async def turn_away(self) -> None:
        """Its person may no longer look."""


class Room:
    """Lives as long as someone is in it."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self.watchers: set[Watcher] = set()
        self.new: set[Watcher] = set()
        self.changed: set[int] = set()
        self.frames: dict[Wanted, Frame | None] = {}  # still true
        self.drawn: Drawn = {}
        self.allowed: dict[int, tuple[float, Access | None]] = {}
        self.wake = asyncio.Event()
        self.closed = False
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
        """A task may miss that it was canceled: see `runs.engine.canceling`."""
        self.closed = True
        for task in self.tasks:
            task.cancel()

    # -- hearing -------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        layer, group = get_channel_layer(), live.group_of(self.workspace.pk)
        channel = await layer.new_channel()
        try:
            while not self.closed:
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
                while not self.closed:
                    message = await layer.receive(channel)
                    self.changed.add(message["run"])
                    self.wake.set()

    # -- telling -------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while not self.closed:
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
        """Everything that is to be drawn is drawn in one go; then each page gets one message."""
        changed, self.changed = self.changed, set()
        new, self.new = self.new, set()
        self.frames = {key: frame for key, frame in self.frames.items() if key.run_id not in changed}
        board = any(watcher.view == "board" for watcher in new)
        shown = await _reading(self._on_board)() if board else set()
        audience = await self._audience(changed, new, shown)
        await self._draw({key for keys in audience.values() for key in keys})
        told = [watcher for watcher in audience if watcher.view == "board"]
        summary = await _reading(render_summary)(self.workspace) if told else ""
        for watcher, keys in audience.items():
            frames = {key.run_id: self.frames[key] for key in keys}
            await watcher.tell(frames, summary if watcher.view == "board" else "")

    def _on_board(self) -> set[int]:
        runs = Run.objects.filter(selectors.on_board(), workspace=self.workspace)
        return set(runs.values_list("pk", flat=True))

    async def _audience(
        self, changed: set[int], new: set[Watcher], shown: set[int]
    ) -> dict[Watcher, list[Wanted]]:
        """Which frames each page is to get; who may no longer look is turned away."""
        found: dict[Watcher, list[Wanted]] = {}
        for watcher in list(self.watchers if changed else new & self.watchers):
            runs = changed | shown if watcher in new else changed
            if watcher.view == "run":
                runs = {watcher.run_id} & (changed if watcher not in new else {watcher.run_id})
            if watcher.view == "run" and not runs:
                continue
            held = await self._access(watcher)
            if held is None:
                self.leave(watcher)
                await watcher.turn_away()
                continue
            known = {run: frame.status for run, frame in watcher.seen.items()}
            found[watcher] = [
                Wanted(run, watcher.view, held.can_edit, known.get(run, "")) for run in sorted(runs)
            ]
        return found

    async def _draw(self, wanted: set[Wanted]) -> None:
        missing = wanted - self.frames.keys()
        if missing:
            old = list(self.frames)[: max(0, len(self.frames) + len(missing) - FRAMES_KEPT)]
            for key in set(old) - wanted:
                del self.frames[key]
            made = await _reading(render_frames)(self.workspace, missing, self.drawn)
            self.frames |= made
            behind = {frame.run_id for frame in made.values() if frame and frame.is_behind}
            if behind:
                asyncio.get_running_loop().call_later(CALM_S, self._again, behind)

    def _again(self, runs: set[int]) -> None:
        self.changed |= runs
        self.wake.set()

    async def _access(self, watcher: Watcher) -> Access | None:
        """Of the person, as the database had it a few seconds ago."""
        at, held = self.allowed.get(watcher.user.pk, (float("-inf"), None))
        if time.monotonic() - at > RECHECK_S:
            at, held = time.monotonic(), await access_now(watcher.user, self.workspace.slug)
            self.allowed[watcher.user.pk] = (at, held)
        return held


def _reading(function: Callable[..., T]) -> Callable[..., Awaitable[T]]:
    """On a thread of its own: requests have theirs, and do not wait for what is drawn here."""
    return cast(Callable[..., Awaitable[T]], database_sync_to_async(function, thread_sensitive=False))


async def access_now(user: Any, slug: str, run_id: int = 0) -> Access | None:
    """What a person may do there, read again: a socket outlives what was read when it opened. None also when
    the workspace has no such run."""
    try:
        return await _reading(_access)(user.pk, slug, run_id)
    except (Http404, PermissionDenied):
        return None


def _access(user_id: Any, slug: str, run_id: int) -> Access:
    held = access.access_for(User.objects.filter(pk=user_id).first() or AnonymousUser(), slug)
    if run_id and not Run.objects.filter(pk=run_id, workspace=held.workspace).exists():
        raise Http404
    return held


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
