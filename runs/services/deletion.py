"""Deleting runs and evaluations, with everything that hangs on them; only the audit line stays."""

from django.db import connection, transaction

from runs import live
from runs.engine.leases import lock_run
from runs.models import ACTIVE_STATUSES, Evaluation, Run
from runs.services.control import run_cancel
from workspaces import audit
from workspaces.access import Access

CHILDREN = (
    "runs_score",
    "runs_attempt",
    "runs_handanswer",
    "runs_trial",
    "runs_tally",
    "runs_gridcell",
    "runs_logline",
    "runs_pumplease",
)


def run_delete(access: Access, run: Run) -> None:
    """Removes a run and all that belongs to it; an active one is canceled first. It cannot be undone."""
    if run.status in ACTIVE_STATUSES:
        run_cancel(access, run)
    with transaction.atomic():
        lock_run(run.pk)
        _delete_rows(run)
        audit.record(
            access,
            "run.delete",
            f"run {run.pk}: {run.alias}",
            dataset=run.config.get("dataset", {}),
            done=run.done,
            total=run.total,
        )
        Evaluation.objects.filter(pk=run.evaluation_id, runs__isnull=True).delete()
    live.notify(run)


def evaluation_delete(access: Access, evaluation: Evaluation) -> None:
    """Removes an evaluation with all its runs."""
    for run in list(evaluation.runs.filter(judged=None)):
        run_delete(access, run)
    Evaluation.objects.filter(pk=evaluation.pk).delete()


def _delete_rows(run: Run) -> None:
    """By table and run id: the ORM's cascade would first load 100,000 trials."""
    with connection.cursor() as cursor:
        for table in CHILDREN:
            cursor.execute(f"DELETE FROM {table} WHERE run_id = %s", [run.pk])  # noqa: S608 (constant names)
        cursor.execute("DELETE FROM runs_run WHERE id = %s", [run.pk])
