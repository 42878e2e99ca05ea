"""Redis connections that outlive a request: Django makes a cache, and with it a pool, for each context."""

from functools import cache
from typing import Any

from redis import ConnectionPool


class KeptPools:
    """`pool_class` of the cache: one pool per server in a process."""

    @staticmethod
    @cache
    def from_url(url: str, **options: Any) -> ConnectionPool:
        return ConnectionPool.from_url(url, **options)
