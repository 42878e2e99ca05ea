"""The cache on Redis: connections are kept, and a server that is away is no error."""

import pytest
from django.core.cache.backends.redis import RedisCache
from redis import Redis as Connection

from evalportal.lib.redis_cache import ForgivingCache
from tests.services import Redis, free_port


@pytest.mark.services
def test_caches_of_many_requests_share_a_connection() -> None:
    options = {"OPTIONS": {"pool_class": "evalportal.lib.redis_cache.KeptPools"}}
    with Redis() as server, Connection.from_url(server.url) as watcher:

        def connections() -> int:
            return int(watcher.info("stats")["total_connections_received"])

        before = connections()
        for number in range(5):
            RedisCache(server.url, options).set("x", number)
            assert RedisCache(server.url, options).get("x") == number
        assert connections() - before == 1


def test_without_the_server_the_cache_is_empty_and_nothing_fails() -> None:
    cache = ForgivingCache(f"redis://127.0.0.1:{free_port()}/0", {})
    assert cache.get("x", "else") == cache.get_or_set("x", lambda: "else") == "else"
    assert cache.add("x", 1) and not cache.touch("x") and not cache.delete("x") and "x" not in cache
    assert cache.get_many(["x"]) == {} and cache.set_many({"x": 1}) == ["x"]
    cache.set("x", 1)
    cache.delete_many(["x"])
    with pytest.raises(ValueError, match="cannot be counted"):
        cache.incr("x")
