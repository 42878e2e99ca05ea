"""How many calls a provider gets at once: a limit that halves on 429 and grows back, pauses, and a pace."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """One provider's door in one process. Runs that share the provider take turns at it, one place each,
    however many of their calls queue here: a small run beside a large one gets its share at once."""

    def __init__(self, limit: int, requests_per_minute: int | None):
        self.ceiling = limit
        self.limit = float(limit)
        self.in_flight = 0
        self.closed_until = 0.0
        self.pace_s = 60 / requests_per_minute if requests_per_minute else 0.0
        self._next_start = 0.0
        self._halved_at = 0.0
        self._queues: dict[int, deque[asyncio.Future[None]]] = {}  # by run; the first one's turn is next

    @asynccontextmanager
    async def place(self, run_id: int) -> AsyncIterator[None]:
        """Held while a call is in flight."""
        await self._take(run_id)
        try:
            await self._wait_for_start()
            yield
        finally:
            self.in_flight -= 1
            self._admit()

    async def _take(self, run_id: int) -> None:
        if not self._queues and self.in_flight < int(self.limit):
            self.in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(run_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn had come already: the place goes to the next
                self.in_flight -= 1
                self._admit()
            raise

    def _admit(self) -> None:
        while self._queues and self.in_flight < int(self.limit):
            run_id, queue = next(iter(self._queues.items()))
            del self._queues[run_id]
            turn = queue.popleft()
            if queue:
                self._queues[run_id] = queue  # behind the others
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

    async def _wait_for_start(self) -> None:
        """Until the provider's pause is over and its pace allows another request."""
        while (now := time.monotonic()) < self.closed_until:  # noqa: ASYNC110 (it may be prolonged)
            await asyncio.sleep(self.closed_until - now)
        if self.pace_s:
            start = max(now, self._next_start)
            self._next_start = start + self.pace_s
            if start > now:
                await asyncio.sleep(start - now)

    def refused(self, retry_after_ms: int | None) -> None:
        """The provider said 429: half as many at once, and none before it allows."""
        now = time.monotonic()
        if now - self._halved_at > 1.0:
            self._halved_at = now
            self.limit = max(1.0, self.limit / 2)
        if retry_after_ms:
            self.closed_until = max(self.closed_until, now + retry_after_ms / 1000)

    def answered(self) -> None:
        """A good answer: one more at once for every full round of them."""
        if self.limit < self.ceiling:
            self.limit = min(float(self.ceiling), self.limit + 1 / max(1.0, self.limit))


class Gates:
    """The gates of one process by provider; a provider's changed limits make a new ceiling."""

    def __init__(self) -> None:
        self._gates: dict[int, Gate] = {}

    def gate(self, provider_id: int, limit: int, requests_per_minute: int | None) -> Gate:
        gate = self._gates.get(provider_id)
        if gate is None:
            gate = self._gates[provider_id] = Gate(limit, requests_per_minute)
        elif gate.ceiling != limit:
            gate.ceiling, gate.limit = limit, float(limit)
        gate.pace_s = 60 / requests_per_minute if requests_per_minute else 0.0
        return gate
