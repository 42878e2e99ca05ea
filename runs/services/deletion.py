"""Deleting runs and evaluations, with everything that hangs on them; only the audit line stays."""

from django.db import connection, transaction
from django.db.models import F

from runs import live
from runs.engine.leases import lock_run
from runs.engine.verdicts import withdraw
from runs.models import ACTIVE_STATUSES, Evaluation, Run
from runs.services.control import cancel_rows, run_cancel
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
WITHOUT_OPPONENT = "The run that it compared with has been deleted."


def run_delete(access: Access, run: Run) -> None:
    """Removes a run and all that belongs to it, its judgings too; an active one is canceled first. With a
    judging go the scores that it gave. It cannot be undone."""
    if run.status in ACTIVE_STATUSES:
        run_cancel(access, run)
    with transaction.atomic():
        if run.judged_id:
            lock_run(run.judged_id)
        lock_run(run.pk)
        if run.judged:
            withdraw_scores(run, run.judged)
        for judging in run.judgings.order_by("pk"):
            lock_run(judging.pk)
            _delete_rows(judging)
        for judging in run.opposed.order_by("pk"):
            cancel_rows(judging, WITHOUT_OPPONENT)
            Run.objects.filter(pk=judging.pk).update(opponent=None, passes=0)
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


def withdraw_scores(judging: Run, judged: Run) -> None:
    """What a judge has said is taken off the run that it judged, and with a member of a panel the panel's
    verdicts; its other members stay as judges of their own."""
    judged.refresh_from_db(fields=["config"])
    gone = {judging.scorer, judging.panel} - {""}
    if judging.panel:
        judged.judgings.filter(panel=judging.panel).update(panel="")
    entries = [
        {**entry, "panel": ""} if entry["panel"] in gone else entry
        for entry in judged.config.get("judges", [])
        if entry["name"] not in gone
    ]
    scorers = [entry for entry in judged.config.get("scorers", []) if entry["name"] not in gone]
    was_first = next(iter(judged.scorer_names), "") in gone
    Run.objects.filter(pk=judged.pk).update(
        config={**judged.config, "scorers": scorers, "judges": entries}, sequence=F("sequence") + 1
    )
    withdraw(judged.pk, gone, leading=was_first)
    live.notify(judged)


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
