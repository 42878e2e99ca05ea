"""The cache on Redis: connections outlive a request, and while the server is away each process has a cache
of its own instead of errors.

Django makes a cache, and with it a pool of connections, for each context.
"""

import logging
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis import ConnectionPool, RedisError

logger = logging.getLogger(__name__)


class KeptPools:
    """`pool_class` of the cache: one pool per server in a process."""

    @staticmethod
    @cache
    def from_url(url: str, **options: Any) -> ConnectionPool:
        return ConnectionPool.from_url(url, **options)


def _or_here(name: str) -> Callable[..., Any]:
    there = getattr(RedisCache, name)

    @wraps(there)
    def ask(self: "ForgivingCache", *args: Any, **options: Any) -> Any:
        try:
            return there(self, *args, **options)
        except RedisError as error:
            logger.warning("cache: %s", error)
            return getattr(self.here, name)(*args, **options)

    return ask


class ForgivingCache(RedisCache):
    """What only it counts, such as failed logins, is so still counted, by each process for itself."""

    def __init__(self, server: str, params: dict[str, Any]):
        super().__init__(server, params)
        self.here = LocMemCache("without redis", params)

    add, get, set = _or_here("add"), _or_here("get"), _or_here("set")
    touch, delete, incr = _or_here("touch"), _or_here("delete"), _or_here("incr")
    get_many, set_many = _or_here("get_many"), _or_here("set_many")
    has_key, delete_many = _or_here("has_key"), _or_here("delete_many")
