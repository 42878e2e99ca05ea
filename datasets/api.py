"""Datasets in the API: create by upload, list, versions, items. Versions are frozen."""

import json
import secrets
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from datasets import selectors
from datasets.mapping import BadMapping, Mapping
from datasets.models import Asset, Dataset, DatasetVersion, Item
from datasets.problems import ImportProblems
from datasets.services import ImportResult, version_import
from datasets.uploading import mapping_for, samples_of, store_chunks
from datasets.uploads import label_of, previous_version
from workspaces.api import WorkspaceViewSet, idempotent
from workspaces.api_base import KeysetPagination
from workspaces.api_errors import MEDIA_TYPE, problem
from workspaces.models import Role


class DatasetSectionSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(allow_blank=True)
    items = serializers.IntegerField()


class VersionSerializer(serializers.ModelSerializer[DatasetVersion]):
    dataset = serializers.PrimaryKeyRelatedField[Dataset](read_only=True)
    dataset_name = serializers.CharField(source="dataset.name", read_only=True)
    sections = DatasetSectionSerializer(many=True, read_only=True)
    response_models = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="Models whose responses are recorded"
    )
    mapping = serializers.JSONField(read_only=True, help_text="How the file's fields were used")

    class Meta:
        model = DatasetVersion
        fields = (
            "id", "dataset", "dataset_name", "number", "upload_type", "content_hash", "item_count",
            "sections", "response_models", "source_name", "mapping", "note", "created_at", "ready_at",
        )  # fmt: skip
        read_only_fields = fields


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    version_count = serializers.IntegerField(read_only=True)
    latest_version = serializers.IntegerField(source="latest_id", read_only=True, help_text="Its id")
    latest_number = serializers.IntegerField(read_only=True)
    item_count = serializers.IntegerField(read_only=True, help_text="Of the latest version")
    changed_at = serializers.DateTimeField(read_only=True)

    class Meta:
        model = Dataset
        fields = (
            "id", "name", "description", "version_count", "latest_version", "latest_number", "item_count",
            "created_at", "changed_at",
        )  # fmt: skip
        read_only_fields = fields


class ImageSerializer(serializers.ModelSerializer[Asset]):
    class Meta:
        model = Asset
        fields = ("sha256", "media_type", "size_bytes", "width_px", "height_px")
        read_only_fields = fields


class ItemSerializer(serializers.ModelSerializer[Item]):
    images = serializers.SerializerMethodField()

    class Meta:
        model = Item
        fields = (
            "id", "position", "external_id", "section", "prompt", "messages", "choices", "references",
            "responses", "metadata", "images",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(ImageSerializer(many=True))
    def get_images(self, item: Item) -> list[dict[str, Any]]:
        return [dict(ImageSerializer(held.asset).data) for held in item.item_assets.all()]


class UploadSerializer(serializers.Serializer[Any]):
    """The form of a new version."""

    file = serializers.FileField(max_length=255, help_text="CSV with a header, or JSONL, in UTF-8")
    name = serializers.CharField(max_length=120, help_text="The dataset: its next version, or a new dataset")
    mapping = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text='JSON: {"fields": [{"path": "question", "use": "prompt"}, …]}; guessed if left out. Uses: '
        "prompt, messages, reference, response (with `model`), choices, section, id, asset, metadata, skip",
    )
    note = serializers.CharField(max_length=300, required=False, allow_blank=True)

    def validate_file(self, file: Any) -> Any:
        if (file.size or 0) > settings.UPLOAD_MAX_BYTES:
            raise ValidationError(f"Larger than {settings.UPLOAD_MAX_BYTES >> 20} MB.")
        return file

    def validate_mapping(self, text: str) -> Mapping | None:
        try:
            return Mapping.from_json(json.loads(text)) if text.strip() else None
        except (BadMapping, ValueError, RecursionError) as error:
            raise ValidationError(str(error)) from error


class RowProblemSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="0 is the file as a whole")
    field = serializers.CharField(allow_blank=True)
    reason = serializers.CharField()


class ImportProblemSerializer(serializers.Serializer[Any]):
    """Why a file was refused; nothing of it is kept."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    problems = RowProblemSerializer(many=True)
    problem_count = serializers.IntegerField(help_text="All of them; `problems` holds the first 1,000")


@extend_schema(tags=["datasets"])
@extend_schema_view(
    list=extend_schema(
        summary="List datasets",
        parameters=[OpenApiParameter("q", OpenApiTypes.STR, description="Part of the name")],
    ),
    retrieve=extend_schema(summary="One dataset"),
)
class DatasetViewSet(ListModelMixin, RetrieveModelMixin, WorkspaceViewSet):
    queryset = Dataset.objects.all()
    serializer_class = DatasetSerializer
    roles: ClassVar = {"read": Role.VIEWER, "create": Role.EDITOR}

    def get_queryset(self) -> QuerySet[Any, Any]:
        if getattr(self, "swagger_fake_view", False):
            return Dataset.objects.none()
        rows = selectors.datasets_of(self.access.workspace)
        q = self.request.query_params.get("q", "").strip()[:200]
        return rows.filter(name__icontains=q) if q and self.action == "list" else rows

    @extend_schema(
        summary="Upload a file as a new version",
        request={"multipart/form-data": UploadSerializer},
        responses={200: VersionSerializer, 201: VersionSerializer, 422: ImportProblemSerializer},
        parameters=[
            OpenApiParameter("Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER, required=False)
        ],
        description="201 with the new version. 200 with the present one when the dataset already has a "
        "version of the same content. 422 names line, field and reason of the problems; nothing is kept.",
    )
    @idempotent
    def create(self, request: Request) -> Response:
        form = UploadSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        folder = Path(settings.MEDIA_ROOT) / "uploads" / str(self.access.workspace.pk)
        path = folder / f"api-{secrets.token_urlsafe(24)}"
        try:
            result = self._import(path, form.validated_data)
        except ImportProblems as refused:
            return refusal(refused)
        finally:
            path.unlink(missing_ok=True)
        status = HTTPStatus.CREATED if result.created else HTTPStatus.OK
        where = reverse("version-detail", args=[result.version.pk], request=request)
        return Response(VersionSerializer(result.version).data, status=status, headers={"Location": where})

    def _import(self, path: Path, sent: dict[str, Any]) -> ImportResult:
        file = sent["file"]
        store_chunks(path, file.chunks(), limit=settings.UPLOAD_MAX_BYTES)
        source_name = label_of(file.name)
        mapping = sent.get("mapping") or mapping_for(
            samples_of(path, source_name),
            with_responses=True,
            previous=previous_version(self.access, sent["name"]),
        )
        return version_import(
            self.access,
            path=path,
            source_name=source_name,
            dataset_name=sent["name"],
            mapping=mapping,
            note=sent.get("note", ""),
        )

    def get_parsers(self) -> list[Any]:
        return (
            [MultiPartParser()] if self.request and self.request.method == "POST" else super().get_parsers()
        )

    @extend_schema(summary="Versions of a dataset, newest first", responses=VersionSerializer(many=True))
    @action(detail=True, methods=["get"])
    def versions(self, request: Request, pk: str) -> Response:
        dataset = self.get_object()
        rows = selectors.ready_versions(self.access.workspace).filter(dataset=dataset).order_by("-id")
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(VersionSerializer(page, many=True).data)


def refusal(refused: ImportProblems) -> Response:
    body = problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The file cannot be imported; nothing of it was kept.",
        problems=[one.to_json() for one in refused.problems],
        problem_count=refused.total,
    )
    return Response(body, status=HTTPStatus.UNPROCESSABLE_ENTITY, content_type=MEDIA_TYPE)


class ItemPagination(KeysetPagination):
    """In the file's order."""

    ordering = "position"


@extend_schema(tags=["datasets"])
@extend_schema_view(retrieve=extend_schema(summary="One version"))
class VersionViewSet(RetrieveModelMixin, WorkspaceViewSet):
    queryset = DatasetVersion.objects.filter(ready_at__isnull=False).select_related("dataset")
    serializer_class = VersionSerializer
    workspace_path = "dataset__workspace"
    roles: ClassVar = {"read": Role.VIEWER}

    @extend_schema(
        summary="Items of a version, in order",
        responses=ItemSerializer(many=True),
        parameters=[
            OpenApiParameter("q", OpenApiTypes.STR, description="Part of the prompt or id"),
            OpenApiParameter("section", OpenApiTypes.STR, description="Exactly this section"),
        ],
    )
    @action(detail=True, methods=["get"], pagination_class=ItemPagination)
    def items(self, request: Request, pk: str) -> Response:
        wanted = request.query_params
        q = wanted.get("q", "").strip()[:200]
        rows = selectors.items_of(self.get_object(), q=q, section=wanted.get("section"))
        page = self.paginate_queryset(rows.prefetch_related("item_assets__asset"))
        return self.get_paginated_response(ItemSerializer(page, many=True).data)
