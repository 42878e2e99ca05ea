"""The one-process form: a channel layer that workers' threads may use, and a worker in a thread."""

import asyncio
import logging
import socket
import threading
from collections.abc import Coroutine
from typing import Any

from celery.worker import state
from channels.layers import InMemoryChannelLayer

from evalportal.celery import app
from runs.engine.host import host, stop_all

SPARE_THREADS = 2  # for the sweeper, while every slot is busy with a run
STOP_WITHIN_S = 2.0


class ThreadSafeChannelLayer(InMemoryChannelLayer):  # type: ignore[misc]
    """Runs every operation on the server's loop.

    The in-memory layer is not thread-safe: a send from a worker's thread wakes Daphne's loop only at
    its own timer and loses messages. `bind` names the loop; until then calls run where they are made.
    """

    _home: asyncio.AbstractEventLoop | None = None

    def bind(self, loop: asyncio.AbstractEventLoop | None) -> None:
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


class EmbeddedWorker:
    """A Celery worker in a thread of this process, with a pool of threads.

    `WorkController` is the worker without the program around it: it leaves signal handlers and
    logging alone.
    """

    def __init__(self, slots: int):
        state.should_stop = state.should_terminate = None
        logging.getLogger("celery.worker.control").setLevel(logging.ERROR)  # its own shutdown is no warning
        self.hostname = f"embedded@{socket.gethostname()}"
        self._ready = threading.Event()
        self._worker = app.WorkController(
            app=app,
            hostname=self.hostname,
            pool="threads",
            concurrency=slots + SPARE_THREADS,
            ready_callback=lambda consumer: self._ready.set(),
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._thread = threading.Thread(target=self._worker.start, name="embedded-worker", daemon=True)
        # It is known as a worker before it has anything to do; a pool of threads sends no signal of that.
        self._report = threading.Thread(target=lambda: host().report(), name="report", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._report.start()

    def wait_ready(self, timeout_s: float = 10) -> bool:
        return self._ready.wait(timeout_s)

    def stop(self) -> None:
        """Ends the engine first, so that no task is left to wait for; runs go on at the next start."""
        self._report.join(STOP_WITHIN_S)
        stop_all()
        app.control.shutdown(destination=[self.hostname])
        self._thread.join(STOP_WITHIN_S)
