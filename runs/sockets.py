"""How many live sockets are open: in this process, and with Redis in all web processes together."""

import asyncio
import os
import secrets
import socket
from contextlib import suppress
from typing import Any

import redis
import redis.asyncio
from django.conf import settings

KEY = "evalportal:sockets"  # a hash: web process → "sockets seconds", by Redis's clock
TELL_EVERY_S = 10
BELIEVED_S = 30  # a process that was killed is forgotten after that
PATIENCE_S = 2


class Sockets:
    """Those of this process. While there are some, it tells the other processes how many."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.open: set[Any] = set()
        self._teller: asyncio.Task[None] | None = None

    def opened(self, one: Any) -> None:
        self.open.add(one)
        if settings.REDIS_URL and (self._teller is None or self._teller.done()):
            self._teller = asyncio.get_running_loop().create_task(self._tell())

    def closed(self, one: Any) -> None:
        self.open.discard(one)

    async def _tell(self) -> None:
        url, patience = settings.REDIS_URL, PATIENCE_S
        async with redis.asyncio.Redis.from_url(
            url, socket_timeout=patience, socket_connect_timeout=patience
        ) as client:
            while self.open:
                with suppress(redis.RedisError):
                    now, _ = await client.time()
                    await client.hset(KEY, self.name, f"{len(self.open)} {now}")
                await asyncio.sleep(TELL_EVERY_S)
            with suppress(redis.RedisError):
                await client.hdel(KEY, self.name)

    def everywhere(self, client: redis.Redis) -> int:
        """With those that other processes told within half a minute; what is older is removed."""
        now, total = int(client.time()[0]), len(self.open)
        everyone: dict[bytes, bytes] = client.hgetall(KEY)  # type: ignore[assignment]
        for raw, told in everyone.items():
            count, at = map(int, told.split())
            if now - at > BELIEVED_S:
                client.hdel(KEY, raw)
            elif raw.decode() != self.name:
                total += count
        return total


sockets = Sockets()
