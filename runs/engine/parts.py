"""A run's calls in flight, among the processes that execute it.

Each says on its hold of the run how many it may have in flight. It takes more only of what the others leave,
while it holds the run's row, and says that it has fewer once it has fewer. So whoever joins late waits until
calls of the others end, and a run never has more in flight than it may.
"""

import time
from typing import NamedTuple

from django.db import connection, transaction

from runs.engine.clock import now_ms_sql
from runs.engine.database import DatabaseThread
from runs.engine.leases import lock_run
from runs.engine.plan import Plan
from runs.models import PumpLease, RunStatus

COMING_S = 3.0  # others come down to their parts: where none of them has for so long, not soon


class Seen(NamedTuple):
    """A run, as one of its processes finds it."""

    status: str  # empty when it is gone
    pumps: int = 0  # processes that execute it, with this one
    before: int = 0  # those that come first when a call is left over
    others: int = 0  # calls that the others may have in flight
    left: int = 0  # trials that have not ended

    def share(self, concurrency: int) -> int:
        """Calls in flight that the process may come to: its part, or what is left of it."""
        part, over = divmod(concurrency, max(1, self.pumps))
        return max(0, min(part + (self.before < over), concurrency - self.others))


class Part:
    """What one process may have in flight of a run."""

    def __init__(self, database: DatabaseThread, plan: Plan, owner: str) -> None:
        self.database, self.run_id, self.owner = database, plan.run_id, owner
        self.whole = plan.concurrency
        self.pumps, self.left = 1, plan.total  # processes; trials of the run that have not ended
        self.share = self.whole  # that it may come to
        self.width = self.stated = 0  # that it may have now, and that the others count on
        self._seen, self._changed_at = Seen(""), time.monotonic()

    async def look(self) -> str:
        """The run's status, empty when it is gone."""
        seen = await self.database.run(look, self.run_id, self.owner)
        if seen.status:
            if (seen.pumps, seen.others) != (self._seen.pumps, self._seen.others):
                self._changed_at = time.monotonic()
            self._seen, self.pumps, self.left = seen, max(1, seen.pumps), seen.left
            self.share = seen.share(self.whole)
            self.width = min(self.width, self.share)
        return seen.status

    @property
    def grows_soon(self) -> bool:
        """Whether others have calls in flight that are this process's by now, and some have ended of late."""
        return self.share < self.whole // self.pumps and time.monotonic() - self._changed_at < COMING_S

    async def take(self, busy: int, coming: int) -> None:
        """More only of what the others leave; fewer once there are fewer. `coming`: besides those `busy`."""
        calls = min(self.share, busy + coming)
        if self.width < calls and busy <= self.share:
            granted = await self.database.run(widen, self.run_id, self.owner, calls, self.whole)
            if granted:
                self.stated = granted
            if granted < calls:  # others were quicker
                self.share = min(self.share, granted)
            self.width = min(granted, self.share)
        else:
            await self.state(max(busy, self.width))

    async def give(self, calls: int) -> None:
        """Down to these, to others if there are any."""
        self.width = min(self.width, calls)
        if self.pumps > 1:
            await self.state(calls)

    async def state(self, calls: int) -> None:
        if calls < self.stated:
            await self.database.run(narrow, self.run_id, self.owner, calls)
            self.stated = calls


def look(run_id: int, owner: str) -> Seen:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT runs_run.status, COUNT(hold.id), COUNT(hold.id) FILTER (WHERE hold.owner < %s),
                COALESCE(SUM(hold.calls) FILTER (WHERE hold.owner <> %s), 0),
                total - done - errored - canceled
            FROM runs_run LEFT JOIN runs_pumplease AS hold
                ON hold.run_id = runs_run.id AND hold.until_ms >= {now_ms_sql()}
            WHERE runs_run.id = %s GROUP BY runs_run.id
            """,  # noqa: S608 (constants only)
            [owner, owner, run_id],
        )
        return Seen(*(cursor.fetchone() or [""]))


def widen(run_id: int, owner: str, calls: int, concurrency: int) -> int:
    """The process would have so many in flight; how many it may have: none if its hold is gone."""
    with transaction.atomic():
        if lock_run(run_id) != RunStatus.RUNNING:
            return 0
        may = min(calls, max(0, concurrency - look(run_id, owner).others))
        return may if narrow(run_id, owner, may) else 0


def narrow(run_id: int, owner: str, calls: int) -> bool:
    """The process has no more than these in flight, nor will it without asking; False if its hold is gone."""
    return bool(PumpLease.objects.filter(run_id=run_id, owner=owner).update(calls=calls))
