"""How the database reads a batch: by its keys, also where its statistics are of a table at rest."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runs.engine import leases
from runs.engine.outcomes import Outcome
from runs.engine.recording import record
from runs.models import Attempt, Run, RunStatus, Trial, TrialState
from runs.services.control import cancel_rows

pytestmark = pytest.mark.django_db
AT_REST = 3_000
BATCH = 40


def test_statistics_of_a_quiet_table_do_not_make_a_batch_read_it_whole_for_each_row(
    launched: Callable[..., Run],
) -> None:
    """After an ANALYZE while nothing is in flight, PostgreSQL expects to find nothing in flight."""
    _ended(launched(AT_REST))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    run = launched(3 * BATCH)
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    with CaptureQueriesContext(connection) as captured:
        claimed = leases.claim(run.pk, "worker", 3 * BATCH, True)
        leases.open_attempts(claimed)
        leases.give_back(run.pk, claimed[2 * BATCH :], True)
        record(run.pk, [Outcome(trial, "done", response="right") for trial in claimed[:BATCH]], True)
        cancel_rows(run, "enough")
        record(run.pk, [Outcome(it, "done", response="late") for it in claimed[BATCH : 2 * BATCH]], True)
    assert run.trials.filter(state=TrialState.DONE).count() == 2 * BATCH
    batches = [query["sql"] for query in captured if re.search(r"json_(each|to_recordset)\(", query["sql"])]
    changing = [sql for sql in batches if re.search(r"(UPDATE|DELETE FROM) runs_(trial|attempt)", sql)]
    assert len(changing) == 8
    assert [sql for sql in changing if _reads_whole_per_row(sql)] == []


def _ended(run: Run) -> None:
    Trial.objects.filter(run=run).update(state=TrialState.DONE)
    Attempt.objects.bulk_create(
        Attempt(run=run, trial_id=pk, number=1, fence=1, outcome="ok", started_at=run.created_at)
        for pk in run.trials.values_list("pk", flat=True)
    )


def _reads_whole_per_row(sql: str) -> bool:
    """A nested loop over a sequential scan (PostgreSQL); a scan of the table at all (SQLite)."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            return any(re.match(r"SCAN runs_", row[-1]) for row in cursor.fetchall())
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    return _loops_over_a_scan((json.loads(found) if isinstance(found, str) else found)[0]["Plan"])


def _loops_over_a_scan(node: dict[str, Any]) -> bool:
    below = node.get("Plans", [])
    scans = [each for each in below if each["Node Type"] == "Seq Scan" and "runs_" in each["Relation Name"]]
    return (node["Node Type"] == "Nested Loop" and bool(scans)) or any(map(_loops_over_a_scan, below))
