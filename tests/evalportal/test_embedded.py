"""The channel layer between threads, and the worker in a thread of this process."""

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator

import pytest

from evalportal.embedded import EmbeddedWorker, ThreadSafeChannelLayer
from runs.models import RunStatus, Worker
from runs.services import Launch, launch
from runs.tasks import pump
from tests.services import wait_until
from workspaces.access import system_access

SOCKETS, MESSAGES = 20, 500


@pytest.fixture
def home() -> Iterator[asyncio.AbstractEventLoop]:
    """The server's loop, on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_messages_from_a_worker_thread_arrive_at_once_and_all(home: asyncio.AbstractEventLoop) -> None:
    layer = ThreadSafeChannelLayer(capacity=1000)
    layer.bind(home)
    delays: list[float] = []
    listening = threading.Semaphore(0)

    async def listen() -> int:
        name = await layer.new_channel()
        await layer.group_add("workspace.1", name)
        listening.release()
        for _ in range(MESSAGES):
            message = await layer.receive(name)
            delays.append(time.perf_counter() - message["sent"])
        return MESSAGES

    async def send() -> None:
        for _ in range(MESSAGES):
            await layer.group_send("workspace.1", {"type": "run.changed", "sent": time.perf_counter()})
            await asyncio.sleep(0.001)

    sockets = [asyncio.run_coroutine_threadsafe(listen(), home) for _ in range(SOCKETS)]
    assert all(listening.acquire(timeout=10) for _ in range(SOCKETS))
    asyncio.run(send())
    assert sum(socket.result(10) for socket in sockets) == SOCKETS * MESSAGES
    median_s = statistics.median(delays)
    assert median_s < 1, f"half of the messages took longer than {median_s * 1000:.0f} ms"


def test_a_layer_without_a_server_works_where_it_is_called() -> None:
    async def exchange() -> dict[str, str]:
        layer = ThreadSafeChannelLayer()
        name = await layer.new_channel()
        await layer.group_add("group", name)
        await layer.group_send("group", {"type": "hello"})
        received = await layer.receive(name)
        await layer.group_discard("group", name)
        return dict(received)

    assert asyncio.run(exchange()) == {"type": "hello"}


@pytest.fixture
def worker() -> Iterator[EmbeddedWorker]:
    embedded = EmbeddedWorker(slots=2)
    embedded.start()
    assert embedded.wait_ready()
    yield embedded
    embedded.stop()


@pytest.mark.django_db(transaction=True)
def test_it_is_known_before_it_has_anything_to_do(worker: EmbeddedWorker) -> None:
    wait_until(Worker.objects.exists, "its report")


@pytest.mark.django_db(transaction=True)
def test_the_worker_executes_what_is_launched(worker: EmbeddedWorker, alpha, model, dataset) -> None:
    wish = Launch(
        dataset_version_id=dataset(40).pk, model_ids=[model().pk], scorers=[{"key": "numeric", "options": {}}]
    )
    run = launch(system_access(alpha), wish).runs.get()

    def finished() -> bool:
        run.refresh_from_db()
        return run.is_finished

    wait_until(finished, "the run's end")
    assert (run.status, run.done, run.errored) == (RunStatus.COMPLETED, 40, 0)


@pytest.mark.django_db(transaction=True)
def test_the_sweeper_finds_a_run_whose_message_was_lost(worker, alpha, model, dataset, monkeypatch) -> None:
    wish = Launch(dataset_version_id=dataset(5).pk, model_ids=[model().pk], scorers=[{"key": "numeric"}])
    with monkeypatch.context() as patch:
        patch.setattr(pump, "delay_on_commit", lambda *ids: None)
        run = launch(system_access(alpha), wish).runs.get()

    def finished() -> bool:
        run.refresh_from_db()
        return run.is_finished

    wait_until(finished, "the run's end")
    assert run.status == RunStatus.COMPLETED


@pytest.mark.django_db(transaction=True)
def test_the_worker_stops_at_once_in_the_middle_of_a_run(alpha, model, dataset, stub) -> None:
    stub.set(latency_ms=30_000)
    embedded = EmbeddedWorker(slots=2)
    embedded.start()
    wish = Launch(dataset_version_id=dataset(20).pk, model_ids=[model().pk], scorers=[{"key": "numeric"}])
    run = launch(system_access(alpha), wish).runs.get()
    wait_until(lambda: stub.stats.in_flight, "the first call")
    started = time.monotonic()
    embedded.stop()
    assert time.monotonic() - started < 15
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING
    assert not run.trials.filter(state="leased").exists(), "leases are given back"
