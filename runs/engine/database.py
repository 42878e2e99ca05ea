"""The engine's one database thread: its own connection, short transactions, patience with a lost server."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from runs.engine.disk import DiskFull, is_full

T = TypeVar("T")
logger = logging.getLogger(__name__)
PATIENCE_S = 12.0


class DatabaseThread:
    """Runs functions one after another on a thread that keeps its connection."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine-database")

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """The function must be safe to repeat: it is, when the server went away in the middle.

        Raises DiskFull at once: that takes a person.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, self._patiently, function, args
        )

    @staticmethod
    def _patiently(function: Callable[..., T], args: tuple[object, ...]) -> T:
        give_up, pause = time.monotonic() + PATIENCE_S, 0.1
        while True:
            try:
                return function(*args)
            except (OperationalError, InterfaceError) as error:
                if is_full(error):
                    raise DiskFull(str(error)) from error
                connection.close()
                if time.monotonic() > give_up:
                    raise
                logger.warning("database: %s; trying again", error)
                time.sleep(pause)
                pause = min(2.0, pause * 2)

    def close(self) -> None:
        # A function of its own: `connection.close` looked up here would be this thread's connection.
        self._executor.submit(lambda: connection.close())
        self._executor.shutdown(wait=True)
