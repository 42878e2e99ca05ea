"""Sockets of live pages: who may open one, and that every one ends with the right final card."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser

from runs.consumers import bundled
from runs.engine.host import run_to_end
from runs.models import Run
from runs.routing import websocket_urlpatterns
from tests.stub_endpoint import StubEndpoint
from workspaces.models import Membership, User, Workspace

pytestmark = pytest.mark.usefixtures("engine")
application = URLRouter(websocket_urlpatterns)
SOCKETS = 50


@pytest.fixture(autouse=True)
async def bound() -> AsyncIterator[None]:
    """As in the portal: what the engine's thread sends reaches this loop."""
    layer = get_channel_layer()
    layer.bind(asyncio.get_running_loop())
    yield
    layer.bind(None)


def socket_of(user: Any, path: str) -> WebsocketCommunicator:
    communicator = WebsocketCommunicator(application, path)
    communicator.scope["user"] = user
    return communicator


async def frames_until(socket: WebsocketCommunicator, word: str, within_s: float = 20) -> str:
    """The first frame that holds the word."""
    async with asyncio.timeout(within_s):
        while word not in (frame := await socket.receive_from(timeout=within_s)):
            pass
    return str(frame)


async def test_fifty_sockets_all_end_with_the_right_card(
    launched: Callable[..., Run], stub: StubEndpoint, editor: User
) -> None:
    stub.set(latency_ms=20, accuracy=0.7)
    run = await sync_to_async(launched)(300, concurrency=16)
    sockets = [socket_of(editor, "/ws/w/alpha/?view=board") for _ in range(SOCKETS)]
    for socket in sockets:
        assert (await socket.connect())[0]
    _, *finals = await asyncio.gather(
        sync_to_async(run_to_end, thread_sensitive=False)(run.pk),
        *(frames_until(socket, 'data-status="completed"') for socket in sockets),
    )
    await run.arefresh_from_db()
    right = await run.trials.filter(passed=True).acount()
    assert len(finals) == SOCKETS
    for frame in finals:
        assert f'id="run-{run.pk}"' in frame and "300</b> of 300" in frame
        assert f"{100 * right / 300:.1f}%" in frame
    await asyncio.gather(*(socket.disconnect() for socket in sockets))


async def test_a_run_page_gets_its_log_and_metrics(launched: Callable[..., Run], editor: User) -> None:
    run = await sync_to_async(launched)(10)
    socket = socket_of(editor, f"/ws/w/alpha/?view=run&run={run.pk}")
    await socket.connect()
    _, frame = await asyncio.gather(
        sync_to_async(run_to_end, thread_sensitive=False)(run.pk),
        frames_until(socket, "accuracy=100.00 % correct=10/10"),
    )
    assert f'id="run-{run.pk}-metrics"' in frame and "Processing: 10/10 (100 %)" in frame
    await socket.disconnect()


@pytest.mark.parametrize("who", ["outsider", "anonymous"])
async def test_strangers_get_no_socket(
    who: str, launched: Callable[..., Run], outsider: User, viewer: User
) -> None:
    run = await sync_to_async(launched)(1)
    person = outsider if who == "outsider" else AnonymousUser()
    for path in ("/ws/w/alpha/?view=board", f"/ws/w/alpha/?view=run&run={run.pk}", "/ws/w/none/"):
        connected, code = await socket_of(person, path).connect()
        assert (connected, code) == (False, 4404)


async def test_another_workspaces_run_is_not_found(launched: Callable[..., Run], outsider: User) -> None:
    run = await sync_to_async(launched)(1)
    connected, code = await socket_of(outsider, f"/ws/w/beta/?view=run&run={run.pk}").connect()
    assert (connected, code) == (False, 4404)


async def test_a_viewer_sees_the_card_without_buttons(
    launched: Callable[..., Run], viewer: User, editor: User
) -> None:
    run = await sync_to_async(launched)(1)
    cards = {}
    for person in (viewer, editor):
        socket = socket_of(person, "/ws/w/alpha/?view=board")
        await socket.connect()
        cards[person.pk] = await frames_until(socket, f'id="run-{run.pk}"')
        await socket.disconnect()
    assert "Cancel run" in cards[editor.pk] and "Cancel run" not in cards[viewer.pk]


@pytest.mark.parametrize("how", ["removed", "deactivated", "deleted"])
async def test_who_may_no_longer_look_loses_the_socket(
    how: str, launched: Callable[..., Run], editor: User, monkeypatch: pytest.MonkeyPatch, alpha: Workspace
) -> None:
    monkeypatch.setattr("runs.rooms.RECHECK_S", 0.0)
    run = await sync_to_async(launched)(1)
    socket = socket_of(editor, "/ws/w/alpha/?view=board")
    await socket.connect()
    await frames_until(socket, f'id="run-{run.pk}"')
    if how == "removed":
        await Membership.objects.filter(user=editor, workspace=alpha).adelete()
    elif how == "deactivated":
        await User.objects.filter(pk=editor.pk).aupdate(is_active=False)
    else:
        await User.objects.filter(pk=editor.pk).adelete()
    await sync_to_async(run_to_end, thread_sensitive=False)(run.pk)
    while (event := await socket.receive_output(timeout=30))["type"] != "websocket.close":
        assert event["type"] == "websocket.send"
    assert event["code"] == 4404


def test_every_socket_declares_who_may_open_it() -> None:
    declared = [pattern.callback.consumer_class.access_declared for pattern in websocket_urlpatterns]
    assert declared == ["viewer"]


def test_what_a_page_lacks_goes_in_messages_that_the_server_sends() -> None:
    parts = ["a" * 60_000, "b" * 60_000, "", "c" * 30_000, "d" * 200_000, "e"]
    assert [len(message) for message in bundled(parts)] == [60_000, 90_000, 200_000, 1]
    assert "".join(bundled(parts)) == "".join(parts)
    assert list(bundled(["", ""])) == []
