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


def test_without_the_server_each_process_has_its_own() -> None:
    cache = ForgivingCache(f"redis://127.0.0.1:{free_port()}/0", {})
    assert cache.get("x", "else") == "else" and "x" not in cache and not cache.touch("x")
    with pytest.raises(ValueError, match="not found"):
        cache.incr("x")
    assert cache.add("x", 1) and not cache.add("x", 5)  # a double click is known
    assert cache.incr("x") == 2  # failed logins are counted
    cache.set_many({"y": 3})
    assert cache.get_or_set("z", lambda: 4) == 4 and cache.get_many(["x", "y", "z"]) == {
        "x": 2,
        "y": 3,
        "z": 4,
    }
    cache.delete_many(["y", "z"])
    assert cache.delete("x") and not cache.get_many(["x", "y", "z"])
