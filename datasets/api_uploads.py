"""Uploads in the API: a file is received, imported by a worker, and asked about until it is done."""

import json
from http import HTTPStatus
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import CreateModelMixin, DestroyModelMixin, ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from datasets import selectors, uploading, uploads
from datasets.mapping import BadMapping, Mapping
from datasets.models import SavedMapping, Upload, UploadState, UploadType
from datasets.problems import ImportProblems
from datasets.selectors_uploads import saved_mappings
from evalportal.lib.csv_safety import csv_lines
from evalportal.lib.streaming import download
from workspaces.api import WorkspaceView, WorkspaceViewSet
from workspaces.api_errors import MEDIA_TYPE, Conflict, problem
from workspaces.models import Role

SHOWN_PROBLEMS = 100


def mapping_from(value: Any) -> Mapping:
    """Of a JSON value or its text. Raises ValidationError."""
    try:
        return Mapping.from_json(json.loads(value) if isinstance(value, str) else value)
    except (BadMapping, ValueError, RecursionError) as error:
        raise ValidationError(str(error)) from error


class UploadSerializer(serializers.Serializer[Any]):
    """The form of a new version."""

    file = serializers.FileField(
        max_length=255, help_text="CSV, JSONL, JSON, Parquet, Excel, or a zip with images in assets/"
    )
    name = serializers.CharField(max_length=120, help_text="The dataset: its next version, or a new dataset")
    mapping = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text='JSON: {"fields": [{"path": "question", "use": "prompt"}, …]}; guessed if left out. Uses: '
        "prompt, messages, chat, copy, reference, choice_number, response (with `model`), choices, section, "
        "id, tags, asset, context, rubric, weight, metadata, skip",
    )
    saved_mapping = serializers.CharField(
        required=False, allow_blank=True, help_text="A saved mapping's name"
    )
    leave_out = serializers.BooleanField(default=False, help_text="Import without the rows with problems")
    note = serializers.CharField(max_length=300, required=False, allow_blank=True)
    type = serializers.ChoiceField(
        choices=UploadType.choices, default=UploadType.QUERY_RESPONSE,
        help_text="`query` guesses a mapping without responses; no matter where a mapping is given",
    )  # fmt: skip

    def validate_file(self, file: Any) -> Any:
        if (file.size or 0) > settings.UPLOAD_MAX_BYTES:
            raise ValidationError(f"Larger than {settings.UPLOAD_MAX_BYTES >> 20} MB.")
        return file

    def validate_mapping(self, text: str) -> Mapping | None:
        return mapping_from(text) if text.strip() else None


class RowProblemSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="0 is the file as a whole")
    field = serializers.CharField(allow_blank=True)
    reason = serializers.CharField()


class UploadStateSerializer(serializers.ModelSerializer[Upload]):
    """A file on its way to a version. `version` is set once the state is `done`."""

    problems = serializers.SerializerMethodField()
    dataset = serializers.IntegerField(
        source="version.dataset_id", read_only=True, allow_null=True, default=None
    )

    class Meta:
        model = Upload
        fields = (
            "id", "state", "source_name", "format", "size_bytes", "dataset_name", "mapping", "leave_out",
            "progress_done", "progress_total", "problem_count", "problems", "dataset", "version",
            "created_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(RowProblemSerializer(many=True))
    def get_problems(self, upload: Upload) -> list[dict[str, Any]]:
        """The first 100 of them; all are at `problems.csv`."""
        return list(upload.problems[:SHOWN_PROBLEMS])


class AgainSerializer(serializers.Serializer[Any]):
    """What to change before another try."""

    mapping = serializers.JSONField(required=False)
    leave_out = serializers.BooleanField(required=False)

    def validate_mapping(self, value: Any) -> Mapping:
        return mapping_from(value)


def receive(view: WorkspaceView, request: Request) -> Response:
    """202 with the upload; a worker imports it. 422 for a file or mapping that cannot be taken at all."""
    form = UploadSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    sent = form.validated_data
    try:
        upload = uploads.upload_create(
            view.access,
            source_name=sent["file"].name,
            chunks=sent["file"].chunks(),
            dataset_name=sent["name"],
            note=sent.get("note", ""),
            mapping=sent.get("mapping") or _saved(view, sent.get("saved_mapping", "")),
            leave_out=sent["leave_out"],
            with_responses=sent["type"] == UploadType.QUERY_RESPONSE,
        )
    except uploads.UploadRefused as error:
        raise ValidationError({"file": str(error)}) from error
    return _begin(view, request, upload)


def _saved(view: WorkspaceView, name: str) -> Mapping | None:
    if not name:
        return None
    saved = saved_mappings(view.access.workspace).filter(name=name).first()
    if saved is None:
        raise ValidationError({"saved_mapping": "No mapping of that name is saved."})
    return Mapping.from_json(saved.mapping)


def _begin(view: WorkspaceView, request: Request, upload: Upload) -> Response:
    try:
        uploads.upload_begin(upload)
    except ImportProblems as refused:
        uploads.upload_cancel(upload)
        body = problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The file cannot be imported; nothing of it was kept.",
            problems=[one.to_json() for one in refused.problems],
            problem_count=refused.total,
        )
        return Response(body, status=HTTPStatus.UNPROCESSABLE_ENTITY, content_type=MEDIA_TYPE)
    upload.refresh_from_db()
    where = reverse("upload-detail", args=[upload.pk], request=request)
    return Response(
        UploadStateSerializer(upload).data, status=HTTPStatus.ACCEPTED, headers={"Location": where}
    )


@extend_schema(tags=["datasets"])
@extend_schema_view(
    list=extend_schema(summary="Your uploads"),
    retrieve=extend_schema(summary="How far an upload is"),
    destroy=extend_schema(summary="Cancel an upload; nothing of it is kept"),
)
class UploadViewSet(ListModelMixin, RetrieveModelMixin, DestroyModelMixin, WorkspaceViewSet):
    queryset = Upload.objects.select_related("version")
    serializer_class = UploadStateSerializer
    roles: ClassVar = {"read": Role.EDITOR, "write": Role.EDITOR}

    def get_queryset(self) -> QuerySet[Any, Any]:
        if getattr(self, "swagger_fake_view", False):
            return Upload.objects.none()
        mine = selectors.uploads_of(self.access.workspace, self.access.actor) if self.access.actor else None
        return Upload.objects.none() if mine is None else mine.select_related("version")

    def perform_destroy(self, instance: Upload) -> None:
        uploads.upload_cancel(instance)

    @extend_schema(
        summary="Import again after a refusal",
        request=AgainSerializer,
        responses={202: UploadStateSerializer},
        description="With another mapping, or without the rows that have problems. 409 while it is at work.",
    )
    @action(detail=True, methods=["post"], url_path="import")
    def again(self, request: Request, pk: str) -> Response:
        upload = self.get_object()
        if upload.state not in (UploadState.REFUSED, UploadState.CHECKING):
            raise Conflict("This upload is being imported, or it was.")
        form = AgainSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sent = form.validated_data
        uploads.upload_map(
            upload,
            mapping=sent.get("mapping") or Mapping.from_json(upload.mapping),
            dataset_name=upload.dataset_name,
            note=upload.note,
            leave_out=sent.get("leave_out", upload.leave_out),
        )
        return _begin(self, request, upload)

    @extend_schema(summary="Every bad row, as CSV", responses={(200, "text/csv"): OpenApiTypes.STR})
    @action(detail=True, methods=["get"], url_path="problems.csv")
    def problems(self, request: Request, pk: str) -> HttpResponseBase:
        rows = (
            [one.line or "file", one.field, one.reason] for one in uploading.problems_of(self.get_object())
        )
        parts = csv_lines([["line", "column", "reason"], *rows])
        return download(
            request._request, parts, filename="problems.csv", content_type="text/csv; charset=utf-8"
        )


class SavedMappingSerializer(serializers.ModelSerializer[SavedMapping]):
    class Meta:
        model = SavedMapping
        fields = ("id", "name", "mapping", "created_at")
        read_only_fields = ("id", "created_at")


@extend_schema(tags=["datasets"])
@extend_schema_view(
    list=extend_schema(summary="Saved mappings"),
    create=extend_schema(summary="Save a mapping, in place of one of that name"),
    destroy=extend_schema(summary="Forget a saved mapping"),
)
class SavedMappingViewSet(CreateModelMixin, ListModelMixin, DestroyModelMixin, WorkspaceViewSet):
    queryset = SavedMapping.objects.all()
    serializer_class = SavedMappingSerializer
    roles: ClassVar = {"read": Role.VIEWER, "write": Role.EDITOR}

    def perform_create(self, serializer: Any) -> None:
        mapping = mapping_from(serializer.validated_data["mapping"])
        try:
            serializer.instance = uploads.mapping_save(
                self.access, name=serializer.validated_data["name"], mapping=mapping
            )
        except BadMapping as error:
            raise ValidationError({"mapping": str(error)}) from error

    def perform_destroy(self, instance: SavedMapping) -> None:
        uploads.mapping_delete(self.access, instance)
