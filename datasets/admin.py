"""Datasets in the administration: lists, a look at the items, deletion by the service."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from datasets import services
from datasets.editing import draft_discard
from datasets.models import Asset, Dataset, DatasetVersion, Draft, Subset
from workspaces import access
from workspaces.admin_base import ReadOnlyAdmin, ServiceAdmin, staff_of
from workspaces.services import Refused

PREVIEWED = 20


@admin.register(Dataset)
class DatasetAdmin(ServiceAdmin):
    list_display = ("name", "workspace", "versions_shown", "created_by", "created_at", "portal")
    list_filter = ("workspace",)
    search_fields = ("name", "description", "workspace__name")
    list_select_related = ("workspace", "created_by")
    fields = (
        "name", "description", "licence", "source", "language", "workspace", "created_by", "created_at",
        "portal",
    )  # fmt: skip
    readonly_fields = ("workspace", "created_by", "created_at", "portal")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Dataset]:
        ready = Count("versions", filter=Q(versions__ready_at__isnull=False))
        rows: QuerySet[Dataset] = super().get_queryset(request).select_related("workspace")
        return rows.annotate(ready_versions=ready)

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.display(description="Versions", ordering="ready_versions")
    def versions_shown(self, dataset: Any) -> int:
        return int(dataset.ready_versions)

    @admin.display(description="In the portal")
    def portal(self, dataset: Dataset) -> SafeString:
        return format_html('<a href="{}">Open</a>', dataset.get_absolute_url())

    def save_model(self, request: HttpRequest, obj: Dataset, form: Any, change: bool) -> None:
        stored = Dataset.objects.get(pk=obj.pk)
        held = access.staff_access(staff_of(request), obj.workspace)
        try:
            card = {name: getattr(obj, name) for name in services.CARD_FIELDS}
            services.dataset_rename(held, stored, name=obj.name, **card)
        except ValidationError as error:
            raise Refused(" ".join(error.messages)) from error

    def delete_row(self, request: HttpRequest, row: Dataset) -> None:
        services.dataset_delete(access.staff_access(staff_of(request), row.workspace), row)


@admin.register(DatasetVersion)
class DatasetVersionAdmin(ReadOnlyAdmin):
    list_display = ("title", "workspace", "upload_type", "item_count", "short_hash", "created_by", "ready_at")
    list_filter = ("dataset__workspace", "upload_type", "ready_at")
    search_fields = ("dataset__name", "content_hash", "note", "source_name")
    list_select_related = ("dataset__workspace", "created_by")
    date_hierarchy = "created_at"
    fields = (
        "title", "workspace", "portal", "upload_type", "item_count", "content_hash", "sections",
        "response_models", "source_name", "mapping", "origin", "note", "created_by", "created_at", "ready_at",
        "first_items",
    )  # fmt: skip
    readonly_fields = ("title", "workspace", "portal", "first_items")

    @admin.display(description="Version", ordering="dataset__name")
    def title(self, version: DatasetVersion) -> str:
        return f"{version.dataset.name} v{version.number}"

    @admin.display(description="Workspace", ordering="dataset__workspace__name")
    def workspace(self, version: DatasetVersion) -> str:
        return version.dataset.workspace.name

    @admin.display(description="Hash")
    def short_hash(self, version: DatasetVersion) -> str:
        return version.content_hash[:12]

    @admin.display(description="In the portal")
    def portal(self, version: DatasetVersion) -> SafeString:
        where = f"{version.dataset.get_absolute_url()}?version={version.number}"
        return format_html('<a href="{}">Open</a>', where)

    @admin.display(description=f"First {PREVIEWED} items")
    def first_items(self, version: DatasetVersion) -> SafeString:
        rows = version.items.order_by("position").values_list("position", "section", "prompt")[:PREVIEWED]
        where = f"{version.dataset.get_absolute_url()}?version={version.number}&item="
        body = format_html_join(
            "",
            '<li><a href="{}{}">{}</a> {} {}</li>',
            ((where, position, position, section, prompt[:200]) for position, section, prompt in rows),
        )
        return format_html("<ol>{}</ol>", body)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self._is_staff(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[DatasetVersion]:
        rows: QuerySet[DatasetVersion] = super().get_queryset(request)
        return rows.filter(ready_at__isnull=False)

    def delete_row(self, request: HttpRequest, row: DatasetVersion) -> None:
        services.version_delete(access.staff_access(staff_of(request), row.dataset.workspace), row)


@admin.register(Draft)
class DraftAdmin(ReadOnlyAdmin):
    """Edits under way; an abandoned one can be discarded here."""

    list_display = (
        "dataset",
        "workspace",
        "base",
        "state",
        "problem",
        "created_by",
        "created_at",
        "changed_at",
    )
    list_filter = ("dataset__workspace", "state")
    search_fields = ("dataset__name",)
    list_select_related = ("dataset__workspace", "base", "created_by")
    fields = ("dataset", "base", "state", "problem", "created_by", "created_at", "changed_at")

    @admin.display(description="Workspace", ordering="dataset__workspace__name")
    def workspace(self, draft: Draft) -> str:
        return draft.dataset.workspace.name

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self._is_staff(request)

    def delete_row(self, request: HttpRequest, row: Draft) -> None:
        draft_discard(access.staff_access(staff_of(request), row.dataset.workspace), row)


@admin.register(Subset)
class SubsetAdmin(ReadOnlyAdmin):
    list_display = ("name", "dataset", "workspace", "filter", "size", "seed", "created_by", "created_at")
    list_filter = ("dataset__workspace",)
    search_fields = ("name", "dataset__name")
    list_select_related = ("dataset__workspace", "created_by")
    fields = ("name", "dataset", "filter", "size", "seed", "created_by", "created_at")

    @admin.display(description="Workspace", ordering="dataset__workspace__name")
    def workspace(self, subset: Subset) -> str:
        return subset.dataset.workspace.name


@admin.register(Asset)
class AssetAdmin(ReadOnlyAdmin):
    list_display = ("short", "workspace", "media_type", "size_bytes", "width_px", "height_px", "created_at")
    list_filter = ("workspace", "media_type")
    search_fields = ("sha256",)
    list_select_related = ("workspace",)
    fields = (
        "picture",
        "workspace",
        "sha256",
        "media_type",
        "size_bytes",
        "width_px",
        "height_px",
        "created_at",
    )
    readonly_fields = ("picture",)

    @admin.display(description="Image")
    def short(self, asset: Asset) -> str:
        return asset.sha256[:12]

    @admin.display(description="Image")
    def picture(self, asset: Asset) -> SafeString:
        where = reverse("datasets:asset", args=[asset.workspace.slug, asset.sha256])
        return format_html('<img src="{}" alt="The image" width="320">', where)
