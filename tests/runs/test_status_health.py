"""Liveness and readiness, sockets counted, and services that are away: with real servers."""

import asyncio
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.conf import LazySettings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from evalportal.celery import app as celery
from runs import sockets as sockets_module
from runs.routing import websocket_urlpatterns
from runs.selectors_surroundings import broker_state, surroundings
from runs.sockets import KEY, Sockets, sockets
from tests.services import free_port
from workspaces.models import User

application = URLRouter(websocket_urlpatterns)


@pytest.mark.django_db
def test_healthz_asks_nothing(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
def test_readyz_says_what_it_found(client: Client) -> None:
    answer = client.get("/readyz")
    checks = {"database": "ok", "migrations": "ok", "redis": "not used"}
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "checks": checks})


@pytest.mark.django_db(transaction=True)
def test_readyz_names_the_app_that_is_not_migrated(client: Client) -> None:
    recorder = MigrationRecorder(connection)
    last = recorder.migration_qs.filter(app="runs").order_by("name").last()
    recorder.record_unapplied("runs", last.name)
    try:
        answer = client.get("/readyz")
    finally:
        recorder.record_applied("runs", last.name)
    assert answer.status_code == 503
    assert answer.json()["checks"]["migrations"] == "to be applied: runs"


@pytest.mark.django_db
def test_readyz_without_a_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    where = {
        "sqlite": {"NAME": "/nowhere/at/all.sqlite3"},
        "postgresql": {"HOST": "127.0.0.1", "PORT": str(free_port()), "PASSWORD": "hush-hush"},
    }[connection.vendor]
    for name, value in where.items():
        monkeypatch.setitem(connection.settings_dict, name, value)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "does not answer"
    assert not any(str(value) in answer.content.decode() for value in where.values())


@pytest.mark.django_db
def test_readyz_without_redis(client: Client, settings: LazySettings) -> None:
    settings.REDIS_URL = f"redis://:hush-hush@127.0.0.1:{free_port()}/0"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["redis"]) == (503, "does not answer")
    assert b"hush" not in answer.content


@pytest.mark.django_db
def test_status_page_stands_without_redis(staff: User, client_of: Any, settings: LazySettings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    page = client_of(staff).get("/status/").content.decode()
    assert "Redis does not answer" in page and "Not known" in page
    metrics = client_of(staff).get("/metrics").content.decode()
    assert "evalportal_redis_up 0" in metrics and "evalportal_queue_messages " not in metrics.replace(
        "# HELP evalportal_queue_messages ", ""
    ).replace("# TYPE evalportal_queue_messages ", "")


@pytest.mark.django_db
def test_surroundings_tell_sizes() -> None:
    celery.control.purge()  # what earlier tests sent, that no worker took
    found = surroundings()
    assert found.database.kind.split()[0] in ("SQLite", "PostgreSQL") and found.database.bytes > 10_000
    assert 0 < found.disk.free_bytes <= found.disk.total_bytes
    assert found.layer_ms is not None and found.broker.messages == 0


@pytest.mark.django_db(transaction=True)
async def test_open_sockets_are_counted_until_they_close(viewer: User, outsider: User) -> None:
    async def knock(person: User) -> WebsocketCommunicator:
        one = WebsocketCommunicator(application, "/ws/w/alpha/?view=board")
        one.scope["user"] = person
        await one.connect()
        return one

    before = len(sockets.open)
    first, second, refused = await knock(viewer), await knock(viewer), await knock(outsider)
    assert len(sockets.open) == before + 2
    await first.disconnect()
    assert len(sockets.open) == before + 1
    await asyncio.gather(second.disconnect(), refused.wait())
    assert len(sockets.open) == before


@pytest.mark.services
async def test_sockets_of_other_processes_are_counted_while_they_tell(
    redis_url: str, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = redis_url
    monkeypatch.setattr(sockets_module, "TELL_EVERY_S", 0.05)
    here, there = Sockets(), Sockets()
    there.opened("x"), there.opened("y"), here.opened("z")
    with redis.Redis.from_url(redis_url) as client:
        seconds = int(client.time()[0])
        client.hset(KEY, mapping={"killed": f"7 {seconds - 60}", "other": f"4 {seconds}"})
        await asyncio.sleep(0.3)
        assert await sync_to_async(here.everywhere)(client) == 3 + 4
        there.closed("x"), there.closed("y"), here.closed("z")
        await asyncio.sleep(0.3)
        assert await sync_to_async(here.everywhere)(client) == 4
        assert set(client.hkeys(KEY)) == {b"other"}


@pytest.mark.services
def test_queue_of_the_broker_is_measured(redis_url: str, settings: LazySettings) -> None:
    settings.REDIS_URL = redis_url
    with redis.Redis.from_url(redis_url) as client:
        client.rpush("celery", "one", "two")
    found = broker_state()
    assert (found.messages, found.sockets, found.answers) == (2, len(sockets.open), True)
    assert found.latency_ms is not None
