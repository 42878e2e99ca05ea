"""Does what the portal stands on answer? The database, its tables, Redis: each asked within two seconds."""

from functools import cache

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

PATIENCE_S = 2
OK = "ok"


def quick_redis() -> redis.Redis:
    """A client that gives up soon. Only where REDIS_URL is set."""
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S
    )


def quick_database() -> BaseDatabaseWrapper:
    """A connection of its own that gives up soon; close it."""
    probe = connection.copy()
    options = probe.settings_dict["OPTIONS"]
    if probe.vendor == "postgresql":
        given = options.get("options", "")
        options["connect_timeout"] = PATIENCE_S
        options["options"] = f"{given} -c statement_timeout={PATIENCE_S * 1000}".strip()
    else:
        options["timeout"] = PATIENCE_S
    return probe


@cache
def last_migrations() -> frozenset[tuple[str, str]]:
    """The newest migration of each app in this release; whoever has them has all."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def database_state() -> dict[str, str]:
    """`database` and `migrations`: "ok", or what is wrong in words that give nothing away."""
    probe = quick_database()
    try:
        missing = last_migrations() - set(MigrationRecorder(probe).applied_migrations())
    except DatabaseError:
        return {"database": "does not answer", "migrations": "not known"}
    finally:
        probe.close()
    apps = ", ".join(sorted(app for app, _ in missing))
    return {"database": OK, "migrations": f"to be applied: {apps}" if apps else OK}


def redis_state() -> str:
    """ "ok", "not used", or what is wrong."""
    if not settings.REDIS_URL:
        return "not used"
    try:
        with quick_redis() as client:
            client.ping()
    except redis.RedisError:
        return "does not answer"
    return OK
