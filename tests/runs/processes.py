"""Processes that share a provider: each is a `Gates` of its own with a database thread of its own."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from runs.engine.database import DatabaseThread
from runs.engine.gates import Gate, Gates, Limits


class Process:
    """One process's gates, with calls that wait for the test to end them."""

    def __init__(self, owner: str, provider_id: int):
        self.gates, self.database, self.provider_id = Gates(owner), DatabaseThread(), provider_id
        self.calls: set[asyncio.Task[None]] = set()
        self.finish = asyncio.Event()
        self.went: list[float] = []

    def gate(self, **limits: Any) -> Gate:
        return self.gates.gate(self.provider_id, Limits(**({"concurrency": 12} | limits)))

    async def sync(self, times: int = 1) -> None:
        for _ in range(times):
            await self.gates.sync(self.database)
        await asyncio.sleep(0.01)  # whoever may go, goes

    async def ask(self, gate: Gate, count: int, kind: str = "ok", for_s: float | None = None) -> None:
        """So many calls; each lasts until `finish`, or that long."""

        async def call() -> None:
            async with gate.place(1):
                self.went.append(time.monotonic())
                await (self.finish.wait() if for_s is None else asyncio.sleep(for_s))
            gate.learned(kind)

        self.calls |= {asyncio.create_task(call()) for _ in range(count)}
        await asyncio.sleep(0.01)

    async def fails(self, gate: Gate, times: int) -> None:
        for _ in range(times):
            async with gate.place(1):
                pass
            gate.learned("server_error")

    async def end(self) -> None:
        for call in self.calls:
            call.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        await asyncio.to_thread(self.database.close)


async def seen(look: Callable[[], Any]) -> Any:
    """By a connection that does not outlive it."""
    database = DatabaseThread()
    try:
        return await database.run(look)
    finally:
        await asyncio.to_thread(database.close)


async def rows(model: Any) -> list[Any]:
    return list(await seen(lambda: list(model.objects.order_by("pk"))))


async def change(model: Any, **values: Any) -> None:
    await seen(lambda: model.objects.update(**values))
