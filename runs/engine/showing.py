"""What pages see of a slice while it works: changes, the item in flight, and why nothing moves.

All of it may fail without harm: a page that hears nothing re-reads, and Redis may be away for a while.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from django.utils import timezone

from runs import live
from runs.engine.database import DatabaseThread
from runs.engine.gates import Hold
from runs.engine.leases import hold_run
from runs.engine.plan import Work
from runs.glimpses import Glimpse, show_glimpse
from runs.models import LogLine, Run

GLIMPSE_EVERY_S = 0.25
NOTICE_WITHIN_S = 2.0
SILENT_AFTER_FAILURE_S = 5.0
TOLD_FROM_MS = 2_000  # shorter holds come and go too often for the log
logger = logging.getLogger(__name__)


class Showing:
    """Of one slice."""

    silent_until = 0.0  # of the process: all slices speak through the same channel

    def __init__(
        self, database: DatabaseThread, workspace_id: int, run_id: int, judged_id: int | None = None
    ):
        self.database, self.workspace_id, self.run_id = database, workspace_id, run_id
        self.judged_id = judged_id  # its page shows what its judges have done
        self.glimpse: Glimpse | None = None
        self.glimpse_changed = False
        self._shown_at = 0.0
        self._held_until = 0.0
        self._told = False  # the log of the hold

    async def announce(self, sequence: int = -1) -> None:
        if time.monotonic() < Showing.silent_until:
            return
        try:
            async with asyncio.timeout(NOTICE_WITHIN_S):
                await live.announce(self.workspace_id, self.run_id, sequence)
                if self.judged_id:
                    await live.announce(self.workspace_id, self.judged_id, -1)
        except Exception as error:
            self._be_silent(error)

    @staticmethod
    def _be_silent(error: Exception) -> None:
        Showing.silent_until = time.monotonic() + SILENT_AFTER_FAILURE_S
        logger.warning("pages hear nothing for %s s: %r", SILENT_AFTER_FAILURE_S, error)

    # -- the item that a card shows -----------------------------------------------------------------

    def begin(self, work: Work, busy: Callable[[int], object]) -> Callable[[str], None] | None:
        """Makes this the item that the card shows, unless one is shown that is still in flight."""
        if self.glimpse and busy(self.glimpse.trial_id):
            return None
        shown = Glimpse(work.trial.id, work.trial.seq, work.trial.item_id, work.prompt[:600])
        self.glimpse, self.glimpse_changed = shown, True
        pieces: list[str] = []

        def on_text(piece: str) -> None:
            pieces.append(piece)
            if self.glimpse and self.glimpse.trial_id == shown.trial_id:
                text = "".join(pieces)[-1500:]
                self.glimpse = Glimpse(shown.trial_id, shown.seq, shown.item_id, shown.prompt, text)
                self.glimpse_changed = True

        return on_text

    def ended(self, trial_id: int) -> None:
        if self.glimpse and self.glimpse.trial_id == trial_id:
            self.glimpse_changed = True

    async def show(self) -> None:
        now = time.monotonic()
        if not (self.glimpse and self.glimpse_changed) or now - self._shown_at < GLIMPSE_EVERY_S:
            return
        self._shown_at, self.glimpse_changed = now, False
        if now < Showing.silent_until:
            return
        try:
            await asyncio.to_thread(show_glimpse, self.run_id, self.glimpse)
        except Exception as error:
            self._be_silent(error)
        await self.announce()

    # -- why nothing moves ----------------------------------------------------------------------------

    async def show_hold(self, hold: Hold | None) -> None:
        """Writes on the run until when its provider is left alone, when that has changed by a second."""
        until = time.monotonic() + hold.for_ms / 1000 if hold else 0.0
        if abs(until - self._held_until) < 1.0:
            return
        self._held_until = until
        for_ms, reason = (hold.for_ms, hold.reason) if hold else (0, "")
        before_ms = await self.database.run(hold_run, self.run_id, for_ms, reason)
        if for_ms >= TOLD_FROM_MS > before_ms and not self._told:  # else told before, perhaps by another
            self._told = True
            words = f"the provider gets no calls for {for_ms / 1000:,.0f} s: {reason}"
            await self.database.run(say, self.run_id, words, "warn")
        elif self._told and not hold:
            self._told = False
            await self.database.run(say, self.run_id, "the provider gets calls again")
        await self.announce()

    async def forget_hold(self) -> None:
        """The slice ends; who goes on with the run says what it meets."""
        if self._held_until:
            self._held_until = 0.0
            await self.database.run(hold_run, self.run_id, 0, "")
            await self.announce()


def say(run_id: int, text: str, level: str = "info") -> None:
    """A line of the run's log, unless it is gone."""
    if Run.objects.filter(pk=run_id).exists():
        LogLine.objects.create(run_id=run_id, at=timezone.now(), level=level, text=text)
