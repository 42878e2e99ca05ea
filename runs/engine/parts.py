"""A run's calls in flight, among the processes that execute it.

Each says on its hold of the run how many it may have in flight. It takes more only of what the others leave,
while it holds the run's row, and says that it has fewer once it has fewer. So whoever joins late waits until
calls of the others end, and a run never has more in flight than it may.
"""

from typing import NamedTuple

from django.db import connection, transaction

from runs.engine.clock import now_ms_sql
from runs.engine.leases import lock_run
from runs.models import PumpLease, RunStatus


class Seen(NamedTuple):
    """A run, as one of its processes finds it."""

    status: str  # empty when it is gone
    pumps: int = 0  # processes that execute it, with this one
    before: int = 0  # those that come first when a call is left over
    others: int = 0  # calls that the others may have in flight

    def share(self, concurrency: int) -> int:
        """Calls in flight that the process may come to: its part, or what is left of it."""
        part, over = divmod(concurrency, max(1, self.pumps))
        return max(0, min(part + (self.before < over), concurrency - self.others))


def look(run_id: int, owner: str) -> Seen:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT runs_run.status, COUNT(hold.id), COUNT(hold.id) FILTER (WHERE hold.owner < %s),
                COALESCE(SUM(hold.calls) FILTER (WHERE hold.owner <> %s), 0)
            FROM runs_run LEFT JOIN runs_pumplease AS hold
                ON hold.run_id = runs_run.id AND hold.until_ms >= {now_ms_sql()}
            WHERE runs_run.id = %s GROUP BY runs_run.status
            """,  # noqa: S608 (constants only)
            [owner, owner, run_id],
        )
        return Seen(*(cursor.fetchone() or [""]))


def widen(run_id: int, owner: str, calls: int, concurrency: int) -> int:
    """The process would have so many in flight; how many it may have."""
    with transaction.atomic():
        if lock_run(run_id) != RunStatus.RUNNING:
            return 0
        may = min(calls, max(0, concurrency - look(run_id, owner).others))
        narrow(run_id, owner, may)
    return may


def narrow(run_id: int, owner: str, calls: int) -> None:
    """The process has no more than these in flight, nor will it without asking."""
    PumpLease.objects.filter(run_id=run_id, owner=owner).update(calls=calls)
