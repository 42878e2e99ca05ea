"""The circuit of one provider: closed while it answers, open while it fails, and one probe in between."""

import asyncio
import random
import time
from math import inf

OPENS_AFTER = 8  # failures in a row
OPEN_FIRST_S, OPEN_MOST_S = 5.0, 60.0
FAILING = {"server_error": "server error", "timeout": "no answer in time", "connection": "no connection"}
NO_WORD_OF_IT = frozenset({"blocked", "certificate", "not_sent", "template"})  # neither answer nor failure


def open_s(failures: int) -> float:
    """How long the circuit stays open: 5 s, doubling with each failed probe to 60 s, less some jitter."""
    longest = min(OPEN_MOST_S, OPEN_FIRST_S * 2.0 ** min(10, max(0, failures - OPENS_AFTER)))
    return longest * random.uniform(0.8, 1.0)  # noqa: S311 (jitter)


class Circuit:
    """Open after several calls in a row that the provider failed; then only one probe tells whether it is
    back. The probe is the task that was let through: late failures of other calls change nothing."""

    def __init__(self) -> None:
        self.failures = 0  # in a row; while open, the failed probes on top
        self.open_until = 0.0  # by the monotonic clock; 0 = closed
        self.shared = False  # then the database says who sends the probe
        self.reason = ""
        self.granted = False  # the next call to pass is the probe
        self.sent = False
        self.probe: asyncio.Task[object] | None = None

    def wait_s(self, now: float) -> float:
        """Seconds until a call may pass; infinite until a probe or a sync tells."""
        if not self.open_until or self.granted:
            return 0.0
        if self.shared or self.sent:
            return inf
        self.granted = now >= self.open_until
        return max(0.0, self.open_until - now)

    def passes(self) -> bool:
        """A call goes out now; whether it is the probe."""
        if self.open_until and self.granted:
            self.granted, self.sent = False, True
            return True
        return False

    def is_probe(self) -> bool:
        return self.probe is not None and self.probe is asyncio.current_task()

    def ended(self) -> None:
        """The probe's call is over: unless it tells something at once, another is sent."""
        if self.sent:
            self.granted, self.sent = True, False

    def open(self, failures: int, seconds: float, reason: str) -> None:
        self.failures, self.reason = failures, reason
        self.open_until = time.monotonic() + seconds
        self.without_probe()

    def close(self) -> None:
        self.failures, self.open_until = 0, 0.0
        self.without_probe()

    def without_probe(self) -> None:
        self.granted, self.sent, self.probe = False, False, None
