"""Providers and models in the admin: where endpoints, keys and prices are entered and connections tested.

Everything goes through `registry.services`. Django saves forms inside a transaction, so calls to
endpoints happen in actions and in views of their own.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display

from registry import services
from registry.calls import CallFailed
from registry.forms import ProviderForm, RegisteredModelForm, RegisterNamesForm
from registry.models import Health, Provider, RegisteredModel, Source
from registry.services import ProbeResult
from registry.templatetags.registry_ui import ago, price
from workspaces.admin_base import ServiceAdmin, staff_of
from workspaces.models import User

Row = Provider | RegisteredModel
HEALTH_COLOURS = {"ok": "success", "failing": "danger", "stale": "warning", "unknown": "default"}
FORGETS = {"forget_key": "api_key", "forget_headers": "headers"}  # a switch of the form → what it removes
CLEARED = {
    "api_key": "The key was removed, since scheme, host or port changed. Enter the one for the new address.",
    "headers": "The extra headers were removed, since scheme, host or port changed.",
}
SOURCE_COLOURS = dict.fromkeys(Source.values, "default") | {"platform": "info", "running": "success"}


class StaffAdmin(ServiceAdmin):
    """What both lists share: health, tests, activation."""

    list_fullwidth = True
    warn_unsaved_form = True

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Not inside a transaction as elsewhere: testing a connection calls out."""
        answer: HttpResponse = ModelAdmin.changelist_view(self, request, *args, **kwargs)
        return answer

    def found(self, request: HttpRequest, object_id: str) -> Any:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404("No such row")
        return row

    def page(self, request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
        change = f"admin:registry_{self.model._meta.model_name}_change"
        frame = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "title": title,
            "back": reverse(change, args=[context["row"].pk]),
        }
        return TemplateResponse(request, template, frame | context)

    @display(description="Health", ordering="health_checked_at", label=HEALTH_COLOURS)
    def health_badge(self, row: Row) -> tuple[str, str]:
        state = "stale" if row.health_is_stale else row.health
        age = f", {ago(row.health_checked_at)}" if row.health_checked_at else ""
        return state, f"{Health(row.health).label}{age}"

    @display(description="Latest test")
    def latest_test(self, row: Row) -> str:
        if row.health_checked_at is None:
            return "Not tested yet"
        age = ago(row.health_checked_at) + (", no longer current" if row.health_is_stale else "")
        return f"{Health(row.health).label} ({age}): {row.health_detail}"

    @display(description="Workspace", ordering="workspace__name", empty_value="Shared")
    def place(self, row: Row) -> str | None:
        return row.workspace.name if row.workspace else None

    def _activate(self, request: HttpRequest, rows: QuerySet[Any], active: bool) -> None:
        count = services.set_active(staff_of(request), rows.select_related("workspace"), active=active)
        self.message_user(request, f"{count} {'activated' if active else 'deactivated'}.", messages.SUCCESS)

    @action(description="Activate")
    def activate(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._activate(request, queryset, True)

    @action(description="Deactivate")
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._activate(request, queryset, False)

    def _tell(self, request: HttpRequest, rows: Sequence[Row], results: Sequence[ProbeResult]) -> None:
        """A message for each."""
        for row, result in zip(rows, results, strict=True):
            level = messages.SUCCESS if result.success else messages.ERROR
            self.message_user(request, f"{row}: {told(result)}", level)

    def _test_page(
        self, request: HttpRequest, object_id: str, probe: Callable[[User, Any], ProbeResult]
    ) -> HttpResponse:
        """GET shows what a test does and the latest result; POST does it."""
        row = self.found(request, object_id)
        result = probe(staff_of(request), row) if request.method == "POST" else None
        title = f"Test connection: {row}"
        return self.page(request, "registry/admin_test.html", title, row=row, result=result)


@admin.register(Provider)
class ProviderAdmin(StaffAdmin):
    form = ProviderForm
    list_display = (
        "name", "health_badge", "base_url", "place", "protocol", "concurrency", "models", "is_active",
    )  # fmt: skip
    list_filter = (
        ("health", ChoicesDropdownFilter),
        ("workspace", RelatedDropdownFilter),
        "is_active",
    )
    list_select_related = ("workspace",)
    search_fields = ("name", "base_url", "workspace__name")
    autocomplete_fields = ("workspace",)
    readonly_fields = ("latest_test", "created_at")
    actions = ("test_connections", "activate", "deactivate")
    actions_detail = ("test_one", "register_models")
    fieldsets = (
        (None, {"fields": ("name", "workspace", "protocol", "base_url", "is_active", "latest_test")}),
        ("Secrets", {"fields": ("new_key", "forget_key", "new_headers", "forget_headers")}),
        (
            "Limits",
            {
                "fields": ("concurrency", "timeout_s", "requests_per_minute", "tokens_per_minute"),
                "description": "Runs keep to these over all workers. Concurrency also halves by itself "
                "when the endpoint answers 429, and grows back.",
            },
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Provider | None = None) -> Any:
        """To remove a secret is offered where one is stored."""
        if obj is None:
            gone = {"forget_key", "forget_headers"}
        else:
            gone = {name for name, kept in FORGETS.items() if not getattr(obj, kept)}
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name not in gone]})
            for title, options in self.fieldsets
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        rows: QuerySet[Provider] = super().get_queryset(request)
        return rows.annotate(model_count=Count("registered_models"))

    @display(description="Models", ordering="model_count")
    def models(self, provider: Any) -> str:
        url = reverse("admin:registry_registeredmodel_changelist")
        link = f"{url}?provider__id__exact={provider.pk}"
        return format_html('<a href="{}">{}</a>', link, provider.model_count)

    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: Any) -> None:
        cleared = services.provider_save(staff_of(request), obj, **cast(ProviderForm, form).secrets())
        asked = {FORGETS[box] for box in FORGETS if form.cleaned_data.get(box)}
        for name in cleared:
            if name not in asked:
                self.message_user(request, CLEARED[name], messages.WARNING)

    def delete_row(self, request: HttpRequest, row: Provider) -> None:
        services.provider_delete(staff_of(request), row)

    @action(description="Test connection")
    def test_connections(self, request: HttpRequest, queryset: QuerySet[Provider]) -> None:
        rows = list(queryset)
        self._tell(request, rows, services.providers_probe(staff_of(request), rows))

    @action(description="Test connection", url_path="test", icon="network_check", permissions=["change"])
    def test_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._test_page(request, object_id, services.provider_probe)

    @action(description="Register models", url_path="models", icon="playlist_add", permissions=["change"])
    def register_models(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lists what the endpoint serves, with a box to tick each; POST registers the ticked ones."""
        provider: Provider = self.found(request, object_id)
        names, failure = _listed(provider)
        known = set(provider.registered_models.values_list("name", flat=True))
        sent = request.POST if request.method == "POST" else None
        form = RegisterNamesForm(sent, offered=[name for name in names if name not in known])
        if form.is_valid():
            made = services.models_register(staff_of(request), provider, form.cleaned_data["names"])
            done = f"Registered at {provider}: {', '.join(map(str, made))}."
            self.message_user(request, done, messages.SUCCESS)
            where = reverse("admin:registry_registeredmodel_changelist")
            return redirect(f"{where}?provider__id__exact={provider.pk}")
        return self.page(
            request, "registry/admin_models.html", f"Register models: {provider}",
            row=provider, form=form, failure=failure, names=[(name, name in known) for name in names],
            offers=bool(set(names) - known),
        )  # fmt: skip


@admin.register(RegisteredModel)
class RegisteredModelAdmin(StaffAdmin):
    form = RegisteredModelForm
    list_display = (
        "heading", "source_badge", "health_badge", "provider", "place", "prices", "is_active", "in_portal",
    )  # fmt: skip
    list_filter = (
        ("source", ChoicesDropdownFilter),
        ("provider", RelatedDropdownFilter),
        ("workspace", RelatedDropdownFilter),
        ("health", ChoicesDropdownFilter),
        "is_active",
    )
    list_select_related = ("workspace", "provider")
    search_fields = ("name", "alias", "hf_repo", "endpoint_id", "provider__name")
    autocomplete_fields = ("workspace", "provider", "parent")
    readonly_fields = ("latest_test", "created_at")
    actions = ("test_connections", "activate", "deactivate")
    actions_detail = ("test_one",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "source", "provider", "endpoint_id", "parent", "hf_repo", "hf_revision",
                    "name", "alias", "workspace", "is_active", "latest_test",
                ),
                "description": "Platform: shared by an administrator. Dedicated: an endpoint of its own. "
                "External: own base URL and token. Running: its badge tells the latest test. "
                "Trained: a fine-tune with its parent. Hugging Face: a repository that an endpoint serves. "
                "By name only: no endpoint, for recorded responses.",
            },
        ),
        ("Calls", {"fields": ("embeds", "capabilities", "default_params")}),
        (
            "Prices",
            {
                "fields": ("input_price", "output_price"),
                "description": "In dollars per million tokens. Without them a run shows no cost.",
            },
        ),
    )  # fmt: skip
    conditional_fields = {
        "provider": "source != 'name_only'",
        "endpoint_id": "source == 'dedicated'",
        "parent": "source == 'trained'",
        "hf_repo": "source == 'hugging_face'",
        "hf_revision": "source == 'hugging_face'",
        "embeds": "source != 'name_only'",
        "capabilities": "source != 'name_only'",
        "default_params": "source != 'name_only'",
    }

    @display(description="Model", ordering="alias", header=True)
    def heading(self, model: RegisteredModel) -> list[str]:
        return [model.title, model.name if model.alias else ""]

    @display(description="Source", ordering="source", label=SOURCE_COLOURS)
    def source_badge(self, model: RegisteredModel) -> tuple[str, str]:
        return model.source, Source(model.source).label

    @display(description="In, out per M", ordering="input_price")
    def prices(self, model: RegisteredModel) -> str:
        return f"{price(model.input_price)}, {price(model.output_price)}"

    @display(description="Portal")
    def in_portal(self, model: RegisteredModel) -> str:
        if model.workspace is None:
            return "–"
        url = reverse("registry:model", args=[model.workspace.slug, model.pk])
        return format_html('<a href="{}">Open</a>', url)

    def get_view_on_site_url(self, obj: RegisteredModel | None = None) -> str | None:
        """For a shared model the page of any workspace would do; there is none to prefer."""
        if obj is None or obj.workspace is None:
            return None
        return reverse("registry:model", args=[obj.workspace.slug, obj.pk])

    def save_model(self, request: HttpRequest, obj: RegisteredModel, form: Any, change: Any) -> None:
        services.model_save(staff_of(request), obj)

    def delete_row(self, request: HttpRequest, row: RegisteredModel) -> None:
        services.model_delete(staff_of(request), row)

    @action(description="Test connection")
    def test_connections(self, request: HttpRequest, queryset: QuerySet[RegisteredModel]) -> None:
        rows = list(queryset.select_related("provider"))
        self._tell(request, rows, services.models_probe(staff_of(request), rows))

    @action(description="Test connection", url_path="test", icon="network_check", permissions=["change"])
    def test_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._test_page(request, object_id, services.model_probe)


def told(result: ProbeResult) -> str:
    if not result.success:
        return result.message
    known = result.output_tokens is not None
    usage = f", {result.input_tokens} + {result.output_tokens} tokens" if known else ""
    return f"answered in {result.latency_ms} ms{usage}: {result.preview}"


def _listed(provider: Provider) -> tuple[list[str], CallFailed | None]:
    try:
        return services.endpoint_models(provider), None
    except CallFailed as failure:
        return [], failure
