"""The sidebar's count of active runs."""

from typing import Any

from django.http import HttpRequest

from runs.models import ACTIVE_STATUSES, Run


def active_runs(request: HttpRequest) -> dict[str, Any]:
    """`active_run_count` is a callable, so that only templates that show it query."""
    held = getattr(request, "access", None)

    def count() -> int:
        if held is None:
            return 0
        runs = Run.objects.filter(workspace=held.workspace, judged=None)
        return runs.filter(status__in=ACTIVE_STATUSES).count()

    return {"active_run_count": count}
