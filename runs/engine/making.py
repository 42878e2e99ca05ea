"""The trials of a run, made from the items of its dataset version in one statement.

A launch of a few makes them itself. Of many it leaves them to the first worker, since a database takes some
ten microseconds for each: whoever launches waits for none, and a run of millions holds no web process.
Until then the run has none (`Run.trials_made`), and nobody ends it.
"""

from collections.abc import Sequence
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import F, QuerySet

from runs.engine import disk
from runs.engine.leases import lock_run
from runs.models import Run, RunStatus

MADE_AT_ONCE = 20_000  # of a run, by its launch


def are_left(run_id: int) -> bool:
    """Whether the launch has left the run's trials to a worker, and none has made them."""
    return _unmade(run_id).exists()


def _unmade(run_id: int) -> QuerySet[Run]:
    return Run.objects.filter(pk=run_id, trials_made=False)


def make_trials(run_id: int) -> None:
    """Those that are left of a run that may work; once, whoever comes first. A full disk pauses the run."""
    with transaction.atomic():
        status = lock_run(run_id)
        run = _unmade(run_id).only("config", "dataset_version_id").first()
        if run is None or status not in (RunStatus.PENDING, RunStatus.RUNNING):
            return
        of, sections = run.config, run.config["sections"]
        within = f"AND section IN ({', '.join(['%s'] * len(sections))})" if sections else ""
        try:
            with transaction.atomic():  # what it wrote goes, and the lock stays
                insert_trials(run, turns=of["epochs"], limit=of["limit"], within=within, given=sections)
        except OperationalError as error:
            if not disk.is_full(error):
                raise
            change: dict[str, Any] = {"status": RunStatus.PAUSED, "status_reason": disk.FULL}
        else:
            change = {"trials_made": True}
        _unmade(run_id).update(**change, sequence=F("sequence") + 1)


def insert_trials(
    run: Run,
    *,
    turns: int,
    limit: int | None,
    within: str = "",
    given: Sequence[Any] = (),
    wanted: str = "",
    wanted_given: Sequence[Any] = (),
) -> None:
    """`seq` goes item by item, its turns side by side. `within` is SQL about the items that are taken,
    `wanted` about which of their turns there are."""
    # Where items differ in turns, their place is counted; else it is known.
    seq = "ROW_NUMBER() OVER (ORDER BY chosen.position, epochs.epoch)" if wanted else (
        f"(chosen.place - 1) * {turns} + epochs.epoch"
    )  # fmt: skip
    listed = ", ".join(f"({epoch})" for epoch in range(1, turns + 1))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH
            epochs(epoch) AS (VALUES {listed}),
            chosen AS (
                SELECT id, section, position, ROW_NUMBER() OVER (ORDER BY position) AS place
                FROM datasets_item WHERE version_id = %s {within}
            )
            INSERT INTO runs_trial (run_id, item_id, epoch, seq, section)
            SELECT %s, chosen.id, epochs.epoch, {seq}, chosen.section
            FROM chosen CROSS JOIN epochs
            WHERE chosen.place <= %s {wanted}
            ORDER BY chosen.position, epochs.epoch
            """,  # noqa: S608 (placeholders)
            [run.dataset_version_id, *given, run.pk, limit or 2**31 - 1, *wanted_given],
        )
