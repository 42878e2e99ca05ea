"""Models in the API: to read only, without secrets. Registering them is the administrators' job."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin

from registry import selectors
from registry.models import Health, RegisteredModel, Source
from registry.selectors import ModelFilter
from workspaces.api import WorkspaceViewSet
from workspaces.models import Role


class ModelProviderSerializer(serializers.Serializer[Any]):
    """Where a model is served; never its key, headers or address."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    protocol = serializers.CharField()
    shared = serializers.SerializerMethodField(help_text="Whether every workspace has it")

    def get_shared(self, provider: Any) -> bool:
        return provider.workspace_id is None


class ModelHealthSerializer(serializers.Serializer[Any]):
    """What the latest test of the connection found."""

    status = serializers.ChoiceField(choices=Health.choices, source="health")
    checked_at = serializers.DateTimeField(source="health_checked_at", allow_null=True)
    stale = serializers.BooleanField(source="health_is_stale", help_text="Older than five minutes")
    latency_ms = serializers.IntegerField(source="health_latency_ms", allow_null=True)
    detail = serializers.CharField(source="health_detail")


class ModelSerializer(serializers.ModelSerializer[RegisteredModel]):
    alias = serializers.CharField(source="title", help_text="What results are grouped by")
    provider = ModelProviderSerializer(allow_null=True)
    health = ModelHealthSerializer(source="*")
    shared = serializers.SerializerMethodField(help_text="Whether every workspace has it")
    active = serializers.SerializerMethodField(help_text="Whether runs can be launched with it")

    class Meta:
        model = RegisteredModel
        fields = (
            "id", "name", "alias", "source", "provider", "shared", "active", "embeds", "capabilities",
            "default_params", "input_price", "output_price", "endpoint_id", "parent", "hf_repo",
            "hf_revision", "health", "created_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_shared(self, model: RegisteredModel) -> bool:
        return model.workspace_id is None

    def get_active(self, model: RegisteredModel) -> bool:
        return model.is_active and (model.provider is None or model.provider.is_active)


class ModelFilterSet(filters.FilterSet):  # type: ignore[misc]
    """Query parameters of the list."""

    q = filters.CharFilter(
        method="search", max_length=200, help_text="Words of name, alias, repo or provider"
    )
    source = filters.ChoiceFilter(choices=Source.choices)
    provider = filters.NumberFilter(
        field_name="provider_id", min_value=0, max_value=2**63 - 1, help_text="A provider's id"
    )
    active = filters.BooleanFilter(method="only_active", help_text="Whether runs can be launched with it")

    class Meta:
        model = RegisteredModel
        fields: ClassVar[list[str]] = []

    def search(self, rows: QuerySet[RegisteredModel], name: str, value: str) -> QuerySet[RegisteredModel]:
        return ModelFilter(q=value).apply(rows)

    def only_active(
        self, rows: QuerySet[RegisteredModel], name: str, value: bool
    ) -> QuerySet[RegisteredModel]:
        return rows.filter(selectors.USABLE) if value else rows.exclude(selectors.USABLE)


@extend_schema_view(
    list=extend_schema(operation_id="models_list", tags=["models"]),
    retrieve=extend_schema(operation_id="models_get", tags=["models"]),
)
class ModelViewSet(ListModelMixin, RetrieveModelMixin, WorkspaceViewSet):
    """The models of the workspace: its own and the shared ones."""

    roles: ClassVar = {"read": Role.VIEWER}
    queryset = RegisteredModel.objects.all()
    serializer_class = ModelSerializer
    filterset_class = ModelFilterSet

    def get_queryset(self) -> QuerySet[Any, Any]:
        """Not by the workspace alone: shared models are part of it."""
        if getattr(self, "swagger_fake_view", False):
            return RegisteredModel.objects.none()
        return selectors.registered_in(self.access.workspace)
