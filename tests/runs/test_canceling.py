"""Tasks that go on although they were canceled: the client of Redis makes them so, on Python 3.11."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from runs.engine.canceling import canceled
from runs.engine.host import run_to_end
from runs.engine.showing import Showing
from runs.models import PumpLease, Run, RunStatus
from runs.rooms import Room
from tests.services import wait_until
from tests.stub_endpoint import StubEndpoint
from workspaces.models import Workspace


async def _keeps_on(first: "asyncio.Future[None]", rounds: list[int]) -> None:
    """Whose first wait is over in the moment in which it is canceled: `asyncio.wait_for` then returns."""
    await asyncio.wait_for(first, 30)
    while True:
        rounds.append(len(rounds))
        await asyncio.sleep(0.01)


def test_a_task_is_canceled_until_it_has_ended() -> None:
    rounds = list[int]()

    async def ends() -> tuple[bool, bool]:
        first = asyncio.get_running_loop().create_future()
        keeps_on = asyncio.create_task(_keeps_on(first, rounds))
        obeys = asyncio.create_task(asyncio.sleep(30))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.set_result(None)
        await canceled(keeps_on, obeys, asyncio.create_task(asyncio.sleep(0)), again_s=0.05)
        return keeps_on.done(), obeys.cancelled()

    assert asyncio.run(asyncio.wait_for(ends(), 10)) == (True, True)
    assert rounds or sys.version_info >= (3, 12)


@pytest.mark.usefixtures("engine")
def test_a_run_ends_although_its_keeper_went_on(
    launched: Callable[..., Run], stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its process holds and renews it for good, with all items done."""
    whole, deaf = Showing.show_hold, list[bool]()

    async def show_hold(self: Showing, hold: Any) -> None:
        if not deaf:
            deaf.append(True)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
        await whole(self, hold)

    def work() -> None:
        run_to_end(run.pk)
        connection.close()

    monkeypatch.setattr(Showing, "show_hold", show_hold)
    stub.set(latency_ms=1_500)
    run = launched(4, concurrency=4)
    threading.Thread(target=work, daemon=True).start()

    def ended() -> bool:
        return Run.objects.filter(pk=run.pk, status=RunStatus.COMPLETED).exists()

    wait_until(ended, "the end of the run", 15)
    assert deaf and not PumpLease.objects.filter(run=run).exists()


def test_a_room_is_left_although_its_listener_went_on(monkeypatch: pytest.MonkeyPatch) -> None:
    missed: list[bool] = []

    async def deaf(self: Room, layer: Any, channel: str) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if missed:
                raise
            missed.append(True)

    async def closes() -> int:
        room = Room(Workspace(pk=1))
        await asyncio.sleep(0.1)
        room.close()
        return len((await asyncio.wait(room.tasks, timeout=5))[0])

    monkeypatch.setattr(Room, "_hear", deaf)
    assert asyncio.run(closes()) == 2
