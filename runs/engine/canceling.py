"""Ending tasks for certain."""

import asyncio
from typing import Any

AGAIN_S = 1.0


async def canceled(*tasks: "asyncio.Task[Any]", again_s: float = AGAIN_S) -> None:
    """Cancels the tasks until all have ended.

    Once is not enough before Python 3.12: `asyncio.wait_for` returns instead, when what it waits for is done
    in that moment, and the client of Redis sends its commands so. https://github.com/python/cpython/issues/86296
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_s)
