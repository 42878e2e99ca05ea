"""The engine's one database thread: its own connection, short transactions, patience with a lost server."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError, connection

from runs.engine.disk import DiskFull, is_full

T = TypeVar("T")
logger = logging.getLogger(__name__)
PATIENCE_S = 12.0
IDLE_S = max(2, settings.ENGINE_LEASE_S // 4)


def set_session() -> None:
    """Settings of the engine's connection, on PostgreSQL.

    A process that is frozen inside a transaction holds its run's row, and so all who share the run: the
    server ends its session after a while. Transactions of the engine are short.

    A batch names its rows, and they were used a moment ago: the server shall look them up by their keys,
    as on storage without moving parts, where by its defaults it reads whole tables of up to 100,000 rows.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, false), "
                "set_config('random_page_cost', '1.1', false)",
                [f"{IDLE_S}s"],
            )


def was_ended(error: InternalError) -> bool:
    """Whether the server has ended the session of one that idled in a transaction."""
    return getattr(error.__cause__, "sqlstate", None) == "25P03"


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
                if connection.connection is None:
                    set_session()
                return function(*args)
            except (OperationalError, InterfaceError, InternalError) as error:
                if is_full(error):
                    raise DiskFull(str(error)) from error
                if isinstance(error, InternalError) and not was_ended(error):
                    raise
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
