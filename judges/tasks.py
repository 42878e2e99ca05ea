"""Celery tasks: thin, with ids as arguments."""

from celery import shared_task

from judges.control_runs import control_check_finish
from judges.models import ControlCheck


@shared_task(name="judges.tasks.control_check_run")  # type: ignore[untyped-decorator]
def control_check_run(check_id: int) -> None:
    """Safe to repeat. A check whose message or worker is lost counts as given up after a while."""
    check = ControlCheck.objects.select_related("version__judge__workspace").filter(pk=check_id).first()
    if check and check.finished_at is None:
        control_check_finish(check)
