"""The portal as one process: pages, sockets and the embedded worker, started and stopped together."""

import asyncio
import fcntl
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from channels.layers import get_channel_layer
from daphne.server import Server  # before the reactor: it installs the asyncio one
from django.conf import settings
from twisted.internet import reactor, threads

from evalportal.embedded import EmbeddedWorker, ThreadSafeChannelLayer

GIVE_UP_S = 2.5  # after this the process ends anyway: whatever was in flight goes on at the next start
Hook = Callable[[asyncio.AbstractEventLoop], None]


class CannotServe(Exception):
    """Something else has the port or the data folder; the message says what to do."""


class DataFolder:
    """Held by one portal at a time; the kernel lets go of it even after kill -9."""

    def __init__(self, folder: Path):
        self.path = folder / "up.lock"
        self._file: IO[str] | None = None

    def take(self, label: str) -> None:
        """Raises CannotServe, naming the holder by its `label`."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._file.read().strip() or "another process"
            raise CannotServe(
                f"The data folder {self.path.parent} is already served: {holder}. Open that, stop it, "
                "or name another folder with EVALPORTAL_DATA."
            ) from None
        self._file.truncate(0)
        self._file.write(label)
        self._file.flush()


def check_port(host: str, port: int) -> None:
    """Raises CannotServe when something listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotServe(
                f"Port {port} of {host} cannot be used ({error.strerror}). Perhaps the portal already runs "
                f"there; otherwise choose another one: PORT={port + 1} make up"
            ) from None


class Portal:
    """Serves until SIGINT or SIGTERM. `on_start` runs in a thread once pages are served, `on_stop` last."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        on_loop: Hook,
        on_start: Callable[[], None],
        on_stop: Callable[[], None],
    ):
        self.host, self.port = host, port
        self.on_loop, self.on_start, self.on_stop = on_loop, on_start, on_stop
        self.worker = EmbeddedWorker(settings.ENGINE_SLOTS) if settings.EMBEDDED else None

    def serve(self, application: Any) -> None:
        address = self.host.replace(":", "\\:")
        server = Server(
            application,
            endpoints=[f"tcp:{self.port}:interface={address}"],
            server_name="evalportal",
            verbosity=0,
            application_close_timeout=1,
            websocket_max_message_size=1 << 20,  # in both directions; a board of many runs is large
            websocket_max_frame_size=1 << 16,  # of what comes in
        )
        core: Any = reactor
        core.callWhenRunning(self._started)
        core.addSystemEventTrigger("before", "shutdown", self._stopping)
        server.run()
        self.on_stop()

    def _started(self) -> None:
        loop = asyncio.get_event_loop()
        layer = get_channel_layer()
        if isinstance(layer, ThreadSafeChannelLayer):
            layer.bind(loop)
        self.on_loop(loop)
        if self.worker:
            self.worker.start()
        threading.Thread(target=self.on_start, name="on-start", daemon=True).start()

    def _stopping(self) -> Any:
        """Pages are served while the worker ends: its last messages go through the server's loop."""
        watchdog = threading.Timer(GIVE_UP_S, self._give_up)
        watchdog.daemon = True
        watchdog.start()
        return threads.deferToThread(self._stop_worker)

    def _give_up(self) -> None:
        self.on_stop()
        os._exit(0)

    def _stop_worker(self) -> None:
        with suppress(Exception):
            if self.worker:
                self.worker.stop()
        layer = get_channel_layer()
        if isinstance(layer, ThreadSafeChannelLayer):
            layer.bind(None)
