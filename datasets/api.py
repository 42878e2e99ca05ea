"""Datasets in the API: create by upload, list, versions, items. Versions are frozen."""

import re
from http import HTTPStatus
from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from datasets import selectors
from datasets.api_editing import DIFF_PARAMETERS, DiffSerializer, EditsSerializer, diff_of, version_edit
from datasets.api_uploads import UploadSerializer, UploadStateSerializer, receive
from datasets.exporters import EXPORTERS
from datasets.exporters.response import export_response
from datasets.filters import CHECKS, KINDS, NO_SECTION, ItemFilter
from datasets.models import Asset, Dataset, DatasetVersion, Item
from workspaces.api import WorkspaceViewSet, idempotent
from workspaces.api_base import KeysetPagination
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
    origin = serializers.JSONField(read_only=True, help_text="Edited or made of a run's misses: from what")

    class Meta:
        model = DatasetVersion
        fields = (
            "id", "dataset", "dataset_name", "number", "upload_type", "content_hash", "item_count",
            "sections", "response_models", "source_name", "mapping", "note", "origin",
            "created_at", "ready_at",
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
            "id", "name", "description", "licence", "source", "language", "version_count", "latest_version",
            "latest_number", "item_count", "created_at", "changed_at",
        )  # fmt: skip
        read_only_fields = fields


class ImageSerializer(serializers.ModelSerializer[Asset]):
    class Meta:
        model = Asset
        fields = ("sha256", "media_type", "size_bytes", "width_px", "height_px")
        read_only_fields = fields


class ItemSerializer(serializers.ModelSerializer[Item]):
    images = serializers.SerializerMethodField()
    tags = serializers.ListField(child=serializers.CharField(), source="tag_list", read_only=True)

    class Meta:
        model = Item
        fields = (
            "id", "position", "external_id", "section", "prompt", "messages", "choices", "references",
            "responses", "metadata", "tags", "key", "digest", "images",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(ImageSerializer(many=True))
    def get_images(self, item: Item) -> list[dict[str, Any]]:
        return [dict(ImageSerializer(held.asset).data) for held in item.item_assets.all()]


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
        responses={202: UploadStateSerializer},
        parameters=[
            OpenApiParameter("Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER, required=False)
        ],
        description="202 with the upload, which a worker imports; ask its `Location` until `state` is "
        "`done` (then `version` is there) or `refused` (then `problems` name line, field and reason).",
    )
    @idempotent
    def create(self, request: Request) -> Response:
        return receive(self, request)

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


class ItemPagination(KeysetPagination):
    """In the file's order."""

    ordering = "position"


@extend_schema(tags=["datasets"])
@extend_schema_view(retrieve=extend_schema(summary="One version"))
class VersionViewSet(RetrieveModelMixin, WorkspaceViewSet):
    queryset = DatasetVersion.objects.filter(ready_at__isnull=False).select_related("dataset")
    serializer_class = VersionSerializer
    workspace_path = "dataset__workspace"
    roles: ClassVar = {"read": Role.VIEWER, "edits": Role.EDITOR}

    @extend_schema(
        summary="Items of a version, in order",
        responses=ItemSerializer(many=True),
        parameters=[
            OpenApiParameter("q", OpenApiTypes.STR, description="Part of the prompt or id"),
            OpenApiParameter("section", OpenApiTypes.STR, description="Exactly this section"),
            OpenApiParameter("kind", OpenApiTypes.STR, enum=list(KINDS)),
            OpenApiParameter("tag", OpenApiTypes.STR, description="With this tag"),
            OpenApiParameter("meta", OpenApiTypes.STR, description="A path in the metadata, as in a.b"),
            OpenApiParameter("value", OpenApiTypes.STR, description="What the metadata hold there"),
            OpenApiParameter("check", OpenApiTypes.STR, enum=list(CHECKS)),
        ],
    )
    @action(detail=True, methods=["get"], pagination_class=ItemPagination)
    def items(self, request: Request, pk: str) -> Response:
        wanted = dict(request.query_params.items())
        if wanted.get("section") == "":
            wanted["section"] = NO_SECTION
        rows = selectors.items_of(self.get_object(), ItemFilter.of(wanted))
        page = self.paginate_queryset(rows.prefetch_related("item_assets__asset"))
        return self.get_paginated_response(ItemSerializer(page, many=True).data)

    @extend_schema(
        summary="How the version differs from an earlier one",
        parameters=DIFF_PARAMETERS,
        responses=DiffSerializer,
    )
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def diff(self, request: Request, pk: str) -> Response:
        return Response(DiffSerializer(diff_of(self.access, self.get_object(), request.query_params)).data)

    @extend_schema(
        summary="Take the items away as a file",
        parameters=[OpenApiParameter("kind", str, OpenApiParameter.PATH, enum=list(EXPORTERS))],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
        description="Imported again, jsonl, csv, parquet, zip and chat.jsonl have the same content hash. "
        "chat.jsonl is to fine-tune on: each line holds the chat as `messages` and the whole `item`; an item "
        "without a reference ends with its question. messages.jsonl is for providers that refuse other keys: "
        "it holds what was asked and the first reference of the items that have one, and nothing else.",
    )
    @action(detail=True, url_path=f"export/(?P<kind>{'|'.join(map(re.escape, EXPORTERS))})")
    def export(self, request: Request, pk: str, kind: str) -> HttpResponseBase:
        return export_response(request._request, self.get_object(), kind)

    @extend_schema(
        summary="Edit the version: the changes make the next one",
        request=EditsSerializer,
        responses={201: VersionSerializer, 202: None, 409: OpenApiTypes.OBJECT},
        description="All changes or none. 202 where a worker finishes a large version. 409 while the dataset "
        "has a draft, or if nothing would differ.",
    )
    @action(detail=True, methods=["post"])
    def edits(self, request: Request, pk: str) -> Response:
        version = self.get_object()
        form = EditsSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        made = version_edit(self.access, version, cast(dict[str, Any], form.validated_data))
        if isinstance(made, Response):
            return made
        if made is None:
            return Response(status=HTTPStatus.ACCEPTED)
        return Response(VersionSerializer(made).data, status=HTTPStatus.CREATED)
