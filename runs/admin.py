"""Evaluations and runs in the admin: to look at, cancel, retry and delete, through `runs.services`.

Trials and attempts have no pages here; the inspector shows them, one link away.
"""

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from runs import services
from runs.models import Evaluation, Run, RunStatus
from workspaces.access import Access, staff_access
from workspaces.admin_base import ReadOnlyAdmin, staff_of

STATUS_COLOURS = {
    "pending": "default",
    "running": "info",
    "paused": "warning",
    "completed": "success",
    "failed": "danger",
    "canceled": "default",
}


def link(url: str, text: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)


def as_json(value: Any) -> SafeString:
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))


class DeletableAdmin(ReadOnlyAdmin):
    """Content is read-only; deleting goes through the service. Services open their own transactions."""

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self._is_staff(request, obj)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer: HttpResponse = ModelAdmin.changelist_view(self, request, *args, **kwargs)
        return answer


@admin.register(Run)
class RunAdmin(DeletableAdmin):
    list_display = (
        "heading",
        "status_badge",
        "dataset",
        "progress",
        "errored",
        "workspace",
        "created_by",
        "finished_at",
        "in_portal",
    )
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("workspace", RelatedDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    )
    list_select_related = ("workspace", "model", "dataset_version__dataset", "created_by")
    search_fields = ("=id", "alias", "label", "model__name", "dataset_version__dataset__name")
    search_help_text = "Number, alias, label, model, dataset"
    actions = ("cancel", "retry_failed")
    fields = readonly_fields = (
        "alias",
        "status",
        "status_reason",
        "held_reason",
        "workspace",
        "evaluation",
        "model",
        "dataset",
        "label",
        "progress",
        "errored",
        "retried",
        "input_tokens",
        "output_tokens",
        "cost",
        "cost_ceiling",
        "token_ceiling",
        "cached",
        "created_by",
        "created_at",
        "started_at",
        "finished_at",
        "configuration",
        "in_portal",
    )

    @display(description="Run", ordering="id", header=True)
    def heading(self, run: Run) -> list[str]:
        return [f"#{run.pk} {run.alias}", run.config.get("model", {}).get("name", "")]

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def status_badge(self, run: Run) -> tuple[str, str]:
        return run.status, RunStatus(run.status).label

    @display(description="Dataset", ordering="dataset_version__dataset__name")
    def dataset(self, run: Run) -> str:
        return f"{run.dataset_version.dataset.name}, v{run.dataset_version.number}"

    @display(description="Done")
    def progress(self, run: Run) -> str:
        return f"{run.done:,} of {run.total:,}"

    @display(description="Configuration")
    def configuration(self, run: Run) -> SafeString:
        return as_json(run.config)

    @display(description="Portal")
    def in_portal(self, run: Run) -> SafeString:
        return link(reverse("runs:inspector", args=[run.workspace.slug, run.pk]), "Open")

    def delete_row(self, request: HttpRequest, row: Run) -> None:
        services.run_delete(staff_access(staff_of(request), row.workspace), row)

    @action(description="Cancel")
    def cancel(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, services.run_cancel, "canceled")

    @action(description="Retry failed items")
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        self._each(request, queryset, services.run_retry, "asking failed items again")

    def _each(
        self, request: HttpRequest, runs: QuerySet[Run], command: Callable[[Access, Run], object], done: str
    ) -> None:
        """A message for each run: what was done, or why not."""
        staff = staff_of(request)
        for run in runs.select_related("workspace"):
            try:
                command(staff_access(staff, run.workspace), run)
            except services.CannotDo as refusal:
                self.message_user(request, f"Run {run.pk}: {refusal}", messages.WARNING)
            else:
                self.message_user(request, f"Run {run.pk}: {done}.", messages.SUCCESS)


@admin.register(Evaluation)
class EvaluationAdmin(DeletableAdmin):
    list_display = ("name", "workspace", "runs", "created_by", "created_at", "in_portal")
    list_filter = (("workspace", RelatedDropdownFilter), ("created_at", RangeDateTimeFilter))
    list_select_related = ("workspace", "created_by")
    search_fields = ("=id", "name")
    fields = readonly_fields = ("name", "workspace", "runs", "created_by", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evaluation]:
        rows: QuerySet[Evaluation] = super().get_queryset(request)
        return rows.annotate(run_count=Count("runs"))

    @display(description="Runs", ordering="run_count")
    def runs(self, evaluation: Any) -> SafeString:
        runs = f"{reverse('admin:runs_run_changelist')}?evaluation__id__exact={evaluation.pk}"
        return link(runs, str(evaluation.run_count))

    @display(description="Portal")
    def in_portal(self, evaluation: Evaluation) -> SafeString:
        return link(reverse("runs:board", args=[evaluation.workspace.slug]), "Open")

    def delete_row(self, request: HttpRequest, row: Evaluation) -> None:
        services.evaluation_delete(staff_access(staff_of(request), row.workspace), row)
