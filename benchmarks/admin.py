"""Benchmarks in the admin: to look at, archive and delete; the portal makes and changes them."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import action

from benchmarks import services
from benchmarks.models import Benchmark, BenchmarkEvaluation
from runs.admin import DeletableAdmin
from workspaces.access import staff_access
from workspaces.admin_base import staff_of


@admin.register(Benchmark)
class BenchmarkAdmin(DeletableAdmin):
    list_display = ("name", "workspace", "owner", "archived_at", "created_at")
    list_filter = ("workspace",)
    list_select_related = ("workspace", "owner")
    search_fields = ("name", "slug")
    fields = readonly_fields = (
        "name", "slug", "workspace", "summary", "owner", "archived_at", "created_at",
    )  # fmt: skip
    actions = ("archive",)

    @action(description="Archive")
    def archive(self, request: HttpRequest, queryset: QuerySet[Benchmark]) -> None:
        for benchmark in queryset.select_related("workspace"):
            services.benchmark_archive(staff_access(staff_of(request), benchmark.workspace), benchmark)
            self.message_user(request, f"{benchmark.name} is archived.", messages.SUCCESS)

    def delete_row(self, request: HttpRequest, row: Benchmark) -> None:
        services.benchmark_delete(staff_access(staff_of(request), row.workspace), row)


@admin.register(BenchmarkEvaluation)
class BenchmarkEvaluationAdmin(DeletableAdmin):
    list_display = ("alias", "benchmark", "phase", "is_baseline", "created_by", "created_at")
    list_filter = ("benchmark",)
    list_select_related = ("benchmark", "phase", "created_by")
    search_fields = ("=id", "alias")
    fields = readonly_fields = (
        "alias", "benchmark", "phase", "model", "is_baseline", "created_by", "created_at",
    )  # fmt: skip

    def delete_row(self, request: HttpRequest, row: BenchmarkEvaluation) -> None:
        services.benchmark_evaluation_delete(staff_access(staff_of(request), row.benchmark.workspace), row)
