"""The API of a version's paraphrases: draft, list, approve, drop."""

from decimal import Decimal
from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from datasets.models import DatasetVersion, Paraphrase
from datasets.selectors import ready_versions
from generation import services_paraphrases as services
from generation.api import LARGEST_ID, refused
from workspaces.api import WorkspaceViewSet, idempotent
from workspaces.api_base import KeysetPagination
from workspaces.models import Role

TAGS = ["datasets"]
VERSION = OpenApiParameter("version_id", int, OpenApiParameter.PATH, description="Of the dataset")


class ParaphraseSerializer(serializers.ModelSerializer[Paraphrase]):
    """An item's question in other words."""

    item = serializers.IntegerField(source="item_id", read_only=True)
    position = serializers.IntegerField(source="item.position", read_only=True, help_text="Of the item")
    prompt = serializers.CharField(source="item.prompt", read_only=True, help_text="The item's own words")
    state = serializers.ChoiceField(choices=Paraphrase.State.choices, read_only=True)
    run = serializers.IntegerField(source="run_id", read_only=True, help_text="That drafted it")

    class Meta:
        model = Paraphrase
        fields: ClassVar = [
            "id", "item", "position", "prompt", "text", "state", "number", "edited", "model_name", "run",
            "decided_at",
        ]  # fmt: skip
        read_only_fields = fields


class DraftParaphrasesSerializer(serializers.Serializer[Any]):
    """A drafting, which is a run over the version."""

    model_id = serializers.IntegerField(max_value=LARGEST_ID)
    count = serializers.IntegerField(default=2, help_text=f"Of each item, 1 to {services.MOST_WANTED}")
    limit = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=LARGEST_ID)
    cost_ceiling = serializers.DecimalField(14, 4, required=False, allow_null=True)


class DraftingSerializer(serializers.Serializer[Any]):
    run = serializers.IntegerField(help_text="Watch it as any run")


class ParaphraseDecisionSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(
        choices=["approved", "dropped"], help_text="An approved one that is dropped is withdrawn"
    )
    text = serializers.CharField(required=False, help_text="Approve these words instead")


class ParaphrasePagination(KeysetPagination):
    ordering = "id"


@extend_schema_view(
    list=extend_schema(
        tags=TAGS,
        summary="Paraphrases of a version's items",
        parameters=[VERSION, OpenApiParameter("state", str, enum=Paraphrase.State.values)],
    ),
)
class ParaphraseViewSet(mixins.ListModelMixin, WorkspaceViewSet):
    """Looking reads what models have answered since."""

    roles: ClassVar = {"read": Role.VIEWER, "write": Role.EDITOR}
    queryset = Paraphrase.objects.select_related("item")
    serializer_class = ParaphraseSerializer
    pagination_class = ParaphrasePagination
    workspace_path = "item__version__dataset__workspace"

    @property
    def version(self) -> DatasetVersion:
        versions = ready_versions(self.access.workspace)
        version: DatasetVersion = get_object_or_404(versions, pk=self.kwargs["version_id"])
        return version

    def get_queryset(self) -> QuerySet[Any, Any]:
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return rows
        return rows.filter(item__version=self.version)

    def filter_queryset(self, queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
        state = self.request.query_params.get("state", "")
        if not state or self.action != "list":
            return queryset
        if state not in Paraphrase.State.values:
            raise ValidationError({"state": [f"One of {', '.join(Paraphrase.State.values)}."]})
        return queryset.filter(state=state)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        services.paraphrases_collect(self.version)
        return super().list(request, *args, **kwargs)

    @extend_schema(
        tags=TAGS, summary="Have a model draft paraphrases", parameters=[VERSION],
        request=DraftParaphrasesSerializer, responses={202: DraftingSerializer},
    )  # fmt: skip
    @idempotent
    def create(self, request: Request, version_id: str) -> Response:
        version, form = self.version, DraftParaphrasesSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sent = cast(dict[str, Any], form.validated_data)
        ceiling: Decimal | None = sent.get("cost_ceiling")
        run = refused(
            lambda: services.paraphrases_begin(
                self.access, version, model_id=sent["model_id"], count=sent["count"],
                limit=sent.get("limit"), cost_ceiling=ceiling,
            )
        )  # fmt: skip
        return Response({"run": run.pk}, status=202)

    @extend_schema(
        tags=TAGS, summary="Approve, edit and approve, or drop a paraphrase", parameters=[VERSION],
        request=ParaphraseDecisionSerializer, responses=ParaphraseSerializer,
    )  # fmt: skip
    def partial_update(self, request: Request, version_id: str, pk: str) -> Response:
        paraphrase = self.get_object()
        form = ParaphraseDecisionSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sent = cast(dict[str, Any], form.validated_data)
        if sent["state"] == "approved":
            refused(lambda: services.paraphrase_approve(self.access, paraphrase, sent.get("text", "")))
        else:
            refused(lambda: services.paraphrase_drop(self.access, paraphrase))
        return Response(ParaphraseSerializer(self.get_queryset().get(pk=paraphrase.pk)).data)
