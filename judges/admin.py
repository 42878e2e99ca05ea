"""Judges in the administration: to look at, to archive. Changing one is the editor's job in the portal."""

from typing import Any

from django.contrib import admin
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action

from judges import services
from judges.models import ControlCheck, Judge, JudgeVersion
from workspaces.access import staff_access
from workspaces.admin_base import ReadOnlyAdmin, staff_of


@admin.register(Judge)
class JudgeAdmin(ReadOnlyAdmin):
    list_display = ("name", "workspace", "newest", "archived_at", "created_by", "created_at", "portal")
    list_filter = ("workspace",)
    list_select_related = ("workspace", "created_by")
    search_fields = ("name", "description", "workspace__name")
    fields = ("name", "description", "workspace", "archived_at", "created_by", "created_at", "portal")
    readonly_fields = fields
    actions = ("archive", "restore")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Judge]:
        rows: QuerySet[Judge] = super().get_queryset(request)
        return rows.select_related("workspace").annotate(newest_number=Max("versions__number"))

    @admin.display(description="Version", ordering="newest_number")
    def newest(self, judge: Any) -> int | None:
        number: int | None = judge.newest_number
        return number

    @admin.display(description="In the portal")
    def portal(self, judge: Judge) -> SafeString:
        return format_html('<a href="{}">Open</a>', judge.get_absolute_url())

    @action(description="Archive")
    def archive(self, request: HttpRequest, queryset: QuerySet[Judge]) -> None:
        self._archive(request, queryset, archived=True)

    @action(description="Restore")
    def restore(self, request: HttpRequest, queryset: QuerySet[Judge]) -> None:
        self._archive(request, queryset, archived=False)

    def _archive(self, request: HttpRequest, queryset: QuerySet[Judge], *, archived: bool) -> None:
        rows = list(queryset)
        for judge in rows:
            held = staff_access(staff_of(request), judge.workspace)
            services.judge_archive(held, judge, archived=archived)
        self.message_user(request, f"{len(rows)} {'archived' if archived else 'restored'}.")


@admin.register(JudgeVersion)
class JudgeVersionAdmin(ReadOnlyAdmin):
    list_display = ("judge", "number", "kind", "asked", "note", "created_at")
    list_filter = ("kind", "judge__workspace")
    list_select_related = ("judge",)
    search_fields = ("judge__name", "note", "fingerprint")

    def get_queryset(self, request: HttpRequest) -> QuerySet[JudgeVersion]:
        rows: QuerySet[JudgeVersion] = super().get_queryset(request)
        return rows.prefetch_related("judge_models")

    @admin.display(description="Judge models")
    def asked(self, version: JudgeVersion) -> str:
        return ", ".join(row.title for row in version.judge_models.all())


@admin.register(ControlCheck)
class ControlCheckAdmin(ReadOnlyAdmin):
    list_display = ("version", "n", "false_passes", "unscored", "problem", "created_at", "finished_at")
    list_select_related = ("version",)
