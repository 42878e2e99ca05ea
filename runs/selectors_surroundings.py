"""What the portal stands on, as this process finds it: database, disk, Redis, channel layer, sockets."""

import asyncio
import secrets
import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import redis
from asgiref.sync import async_to_sync
from celery import current_app
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection
from kombu.transport.memory import Channel

from evalportal.lib.probes import quick_redis
from runs.sockets import sockets

LAYER_PATIENCE_S = 2
DISK_IS_LOW_BYTES = 1 << 30


@dataclass(frozen=True)
class Database:
    """`kind` with its version; `bytes` with its write-ahead log on SQLite."""

    kind: str
    bytes: int


@dataclass(frozen=True)
class Disk:
    """Of the data folder: images, secrets, and on SQLite the database."""

    free_bytes: int
    total_bytes: int

    @property
    def is_low(self) -> bool:
        return self.free_bytes < DISK_IS_LOW_BYTES


@dataclass(frozen=True)
class Broker:
    """Messages that wait in the queue, and open sockets; None where Redis did not tell."""

    uses_redis: bool
    answers: bool
    latency_ms: float | None
    messages: int | None
    sockets: int | None


@dataclass(frozen=True)
class Surroundings:
    version: str
    database: Database
    disk: Disk
    broker: Broker
    layer_ms: float | None  # there and back; None when the channel layer does not answer


def surroundings() -> Surroundings:
    """At most two queries, and a few seconds when Redis hangs."""
    broker = broker_state()
    return Surroundings(
        settings.VERSION, database(), disk(), broker, layer_round_trip_ms() if broker.answers else None
    )


def database() -> Database:
    if connection.vendor == "sqlite":
        path = Path(connection.settings_dict["NAME"])
        files = [path, path.with_name(path.name + "-wal")]
        size = sum(file.stat().st_size for file in files if file.exists())
        return Database(f"SQLite {sqlite3.sqlite_version}", size)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), pg_database_size(current_database())")
        version, size = cursor.fetchone()
    return Database(f"PostgreSQL {version.split()[0]}", size)


def disk() -> Disk:
    usage = shutil.disk_usage(settings.DATA_DIR)
    return Disk(usage.free, usage.total)


def broker_state() -> Broker:
    """Without Redis both broker and sockets are in this process."""
    queue = current_app.conf.task_default_queue
    if not settings.REDIS_URL:
        waiting = Channel.queues.get(queue)
        return Broker(False, True, None, waiting.qsize() if waiting else 0, len(sockets.open))
    began = time.perf_counter()
    try:
        with quick_redis() as client:
            client.ping()
            latency_ms = (time.perf_counter() - began) * 1000
            return Broker(True, True, latency_ms, client.llen(queue), sockets.everywhere(client))
    except redis.RedisError:
        return Broker(True, False, None, None, None)


def layer_round_trip_ms() -> float | None:
    """Joins and leaves a group that nobody else knows."""
    began = time.perf_counter()
    try:
        async_to_sync(join_and_leave)()
    except (OSError, redis.RedisError, TimeoutError):
        return None
    return (time.perf_counter() - began) * 1000


async def join_and_leave() -> None:
    layer, name = get_channel_layer(), f"status.{secrets.token_hex(4)}"
    async with asyncio.timeout(LAYER_PATIENCE_S):
        await layer.group_add(name, f"{name}!probe")
        await layer.group_discard(name, f"{name}!probe")
