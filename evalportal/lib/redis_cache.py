"""The cache on Redis: connections outlive a request, and without the server it is empty instead of an error.

Django makes a cache, and with it a pool of connections, for each context. Nothing that counts is kept in
the cache alone, so a page or a request can do without it.
"""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from django.core.cache.backends.redis import RedisCache
from redis import ConnectionPool, RedisError

T = TypeVar("T")
logger = logging.getLogger(__name__)


class KeptPools:
    """`pool_class` of the cache: one pool per server in a process."""

    @staticmethod
    @cache
    def from_url(url: str, **options: Any) -> ConnectionPool:
        return ConnectionPool.from_url(url, **options)


class ForgivingCache(RedisCache):
    """While the server is away nothing is found, everything may be added, and counting raises ValueError as
    for a key that has run out."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return _or(default, lambda: super(ForgivingCache, self).get(key, default, version))

    def get_many(self, keys: Any, version: int | None = None) -> Any:
        return _or({}, lambda: super(ForgivingCache, self).get_many(keys, version))

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return _or(False, lambda: super(ForgivingCache, self).has_key(key, version))

    def add(self, key: Any, value: Any, *args: Any, **options: Any) -> bool:
        return _or(True, lambda: super(ForgivingCache, self).add(key, value, *args, **options))

    def set(self, key: Any, value: Any, *args: Any, **options: Any) -> None:
        _or(None, lambda: super(ForgivingCache, self).set(key, value, *args, **options))

    def set_many(self, data: Any, *args: Any, **options: Any) -> list[Any]:
        return _or([*data], lambda: super(ForgivingCache, self).set_many(data, *args, **options))

    def touch(self, key: Any, *args: Any, **options: Any) -> bool:
        return _or(False, lambda: super(ForgivingCache, self).touch(key, *args, **options))

    def delete(self, key: Any, version: int | None = None) -> bool:
        return _or(False, lambda: super(ForgivingCache, self).delete(key, version))

    def delete_many(self, keys: Any, version: int | None = None) -> None:
        _or(None, lambda: super(ForgivingCache, self).delete_many(keys, version))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        found = _or(None, lambda: super(ForgivingCache, self).incr(key, delta, version))
        if found is None:
            raise ValueError(f"The cache does not answer, so {key!r} cannot be counted.")
        return int(found)


def _or(without: T, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except RedisError as error:
        logger.warning("cache: %s", error)
        return without
