"""What people concluded, in the admin: to look at, and saved comparisons to delete."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from analysis import services
from analysis.models import SavedComparison, TriagedItem, TriageState
from runs.admin import DeletableAdmin
from workspaces.access import staff_access
from workspaces.admin_base import ReadOnlyAdmin, staff_of

COLOURS = {
    TriageState.OPEN: "default",
    TriageState.REAL: "danger",
    TriageState.FLAKY: "warning",
    TriageState.WRONG_REFERENCE: "info",
    TriageState.JUDGE_WRONG: "info",
    TriageState.ACCEPTED: "success",
}


@admin.register(TriagedItem)
class TriagedItemAdmin(ReadOnlyAdmin):
    """Deciding is the workspace's, on the comparison."""

    list_display = ("item", "state_badge", "run_id", "workspace", "assignee", "changed_by", "changed_at")
    list_filter = ("state", "workspace")
    list_select_related = ("item", "workspace", "assignee", "changed_by")
    search_fields = ("=run__id", "item__external_id", "comment")
    fields = readonly_fields = (
        "item", "state", "run_id", "baseline_id", "again_id", "scorer", "workspace", "assignee", "comment",
        "changed_by", "changed_at", "portal",
    )  # fmt: skip

    @display(description="State", ordering="state", label=COLOURS)
    def state_badge(self, row: TriagedItem) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @admin.display(description="In the portal")
    def portal(self, row: TriagedItem) -> SafeString:
        return format_html(
            '<a href="{}">Open</a>', reverse("analysis:triage_list", args=[row.workspace.slug])
        )


@admin.register(SavedComparison)
class SavedComparisonAdmin(DeletableAdmin):
    list_display = ("name", "workspace", "created_by", "created_at", "portal")
    list_filter = ("workspace",)
    list_select_related = ("workspace", "created_by")
    search_fields = ("name",)
    fields = readonly_fields = ("name", "workspace", "query", "created_by", "created_at", "portal")

    @admin.display(description="In the portal")
    def portal(self, row: SavedComparison) -> SafeString:
        address = reverse("analysis:compare", args=[row.workspace.slug]) + row.query
        return format_html('<a href="{}">Open</a>', address)

    def delete_row(self, request: HttpRequest, row: Any) -> None:
        services.comparison_delete(staff_access(staff_of(request), row.workspace), row)
