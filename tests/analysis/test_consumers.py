"""The socket of comparisons and the dashboard: members hear that a run moved on, once a pause."""

import asyncio
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser

from analysis import consumers
from analysis.routing import websocket_urlpatterns
from runs.live import announce
from workspaces.models import Membership, Role, User, Workspace

pytestmark = pytest.mark.django_db(transaction=True)
application = URLRouter(websocket_urlpatterns)


def opened(user: Any, slug: str = "alpha", query: str = "") -> WebsocketCommunicator:
    socket = WebsocketCommunicator(application, f"/ws/w/{slug}/changes/?{query}")
    socket.scope["user"] = user
    return socket


@pytest.fixture
def person(alpha: Workspace) -> User:
    user = User.objects.create_user("reader@example.com", "x")
    Membership.objects.create(workspace=alpha, user=user, role=Role.VIEWER)
    return user


async def test_a_change_is_told_once_a_pause(alpha: Workspace, person: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(consumers, "PAUSE_S", 0.2)
    socket = opened(person, query="runs=5,6")
    assert (await socket.connect())[0]
    await announce(alpha.pk, 7, 1)
    assert await socket.receive_nothing(0.15)
    for sequence in range(5):
        await announce(alpha.pk, 5, sequence)
    assert "data-reread" in await socket.receive_from()
    assert "data-reread" in await socket.receive_from()  # what came within the pause
    assert await socket.receive_nothing(0.4)
    await socket.disconnect()


async def test_without_runs_it_tells_of_all(alpha: Workspace, person: User) -> None:
    socket = opened(person)
    await socket.connect()
    await announce(alpha.pk, 99, 1)
    assert "data-reread" in await socket.receive_from()
    await socket.disconnect()


async def test_outsiders_are_turned_away(alpha: Workspace, beta: Workspace, person: User) -> None:
    for user, slug in ((AnonymousUser(), "alpha"), (person, "beta"), (person, "nowhere")):
        assert await opened(user, slug).connect() == (False, consumers.OUTSIDER)


async def test_who_left_the_workspace_hears_no_more(alpha: Workspace, person: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(consumers, "RECHECK_S", 0.0)
    socket = opened(person)
    await socket.connect()
    await database_sync_to_async(Membership.objects.all().delete)()
    await announce(alpha.pk, 5, 1)
    await asyncio.sleep(0)
    assert await socket.receive_output() == {"type": "websocket.close", "code": consumers.OUTSIDER}


def test_every_socket_declares_who_may_listen() -> None:
    assert [pattern.callback.consumer_class.access_declared for pattern in websocket_urlpatterns] == [
        "viewer"
    ]
