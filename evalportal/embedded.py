"""The one-process form: a channel layer that workers' threads may use, and a worker in a thread."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from channels.layers import InMemoryChannelLayer


class ThreadSafeChannelLayer(InMemoryChannelLayer):
    """Runs every operation on the server's loop.

    The in-memory layer is not thread-safe: a send from a worker's thread wakes Daphne's loop only at
    its own timer and loses messages. `bind` names the loop; until then calls run where they are made.
    """

    _home: asyncio.AbstractEventLoop | None = None

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._home = loop

    async def _at_home(self, call: Coroutine[Any, Any, Any]) -> Any:
        if self._home is None or self._home is asyncio.get_running_loop():
            return await call
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._home))

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        await self._at_home(super().send(channel, message))

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._at_home(super().group_send(group, message))

    async def group_add(self, group: str, channel: str) -> None:
        await self._at_home(super().group_add(group, channel))

    async def group_discard(self, group: str, channel: str) -> None:
        await self._at_home(super().group_discard(group, channel))
