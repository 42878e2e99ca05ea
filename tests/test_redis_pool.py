"""The cache's connections to Redis are kept, though Django makes a cache for each context."""

import pytest
from django.core.cache.backends.redis import RedisCache
from redis import Redis as Connection

from tests.services import Redis

pytestmark = pytest.mark.services


def test_caches_of_many_requests_share_a_connection() -> None:
    options = {"OPTIONS": {"pool_class": "evalportal.lib.redis_pool.KeptPools"}}
    with Redis() as server, Connection.from_url(server.url) as watcher:

        def connections() -> int:
            return int(watcher.info("stats")["total_connections_received"])

        before = connections()
        for number in range(5):
            RedisCache(server.url, options).set("x", number)
            assert RedisCache(server.url, options).get("x") == number
        assert connections() - before == 1
