"""The catalogue in the API. Each import is an upload to ask about."""

from http import HTTPStatus
from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from catalogue import services
from catalogue.entries import ENTRIES
from catalogue.hub import Place
from datasets.api_uploads import UploadStateSerializer
from datasets.models import Upload
from datasets.uploads import UploadRefused
from workspaces.api import WorkspaceView
from workspaces.models import Role


class CatalogueSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    repo = serializers.CharField(source="place.repo")
    config = serializers.CharField(source="place.config")
    split = serializers.CharField(source="place.split")
    template = serializers.CharField()
    scored_by = serializers.CharField()
    metric = serializers.CharField()
    measures = serializers.CharField(source="tells")
    measures_not = serializers.CharField(source="tells_not")
    needs_judge_model = serializers.SerializerMethodField()
    scorers = serializers.JSONField()
    paper = serializers.CharField(source="source")
    licence = serializers.CharField()

    def get_needs_judge_model(self, entry: Any) -> bool:
        return entry.rubric is not None


class JudgeModelSerializer(serializers.Serializer[Any]):
    judge_model = serializers.IntegerField(
        required=False, allow_null=True, default=None,
        help_text="Id of the model that the judge asks, where a judge scores it",
    )  # fmt: skip


class EntryFileSerializer(JudgeModelSerializer):
    file = serializers.FileField(
        required=False, help_text="Downloaded beforehand; without it the hub is asked"
    )


class HubSerializer(serializers.Serializer[Any]):
    repo = serializers.CharField(max_length=200)
    config = serializers.CharField(max_length=120, default="default")
    split = serializers.CharField(max_length=120, default="test")
    revision = serializers.CharField(max_length=120, default="", allow_blank=True)
    name = serializers.CharField(max_length=120, default="", allow_blank=True, help_text="The dataset")


def accepted(request: Request, upload: Upload) -> Response:
    upload.refresh_from_db()
    where = reverse("upload-detail", args=[upload.pk], request=request)
    return Response(
        UploadStateSerializer(upload).data, status=HTTPStatus.ACCEPTED, headers={"Location": where}
    )


@extend_schema(tags=["datasets"])
class CatalogueList(WorkspaceView):
    roles: ClassVar = {"get": Role.VIEWER}

    @extend_schema(summary="Well-known benchmarks", responses=CatalogueSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(CatalogueSerializer([*ENTRIES.values()], many=True).data)


@extend_schema(tags=["datasets"])
class CatalogueEntry(WorkspaceView):
    roles: ClassVar = {"post": Role.EDITOR}
    parser_classes = [MultiPartParser, JSONParser, FormParser]

    @extend_schema(
        summary="Import a well-known benchmark",
        request={"multipart/form-data": EntryFileSerializer},
        responses={202: UploadStateSerializer},
    )
    def post(self, request: Request, key: str) -> Response:
        entry = ENTRIES.get(key)
        if entry is None:
            raise Http404
        form = EntryFileSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        file, judge_model = form.validated_data.get("file"), form.validated_data["judge_model"]
        try:
            if file is None:
                return accepted(request, services.entry_fetch(self.access, entry, judge_model=judge_model))
            upload = services.entry_receive(
                self.access, entry, source_name=file.name, chunks=file.chunks(), judge_model=judge_model
            )
            return accepted(request, upload)
        except (services.BadPlace, UploadRefused) as error:
            raise ValidationError({"file": str(error)}) from error


class PreparedSerializer(serializers.Serializer[Any]):
    benchmark_id = serializers.IntegerField()


@extend_schema(tags=["datasets"])
class CatalogueBenchmark(WorkspaceView):
    roles: ClassVar = {"post": Role.EDITOR}

    @extend_schema(
        summary="Prepare the benchmark of data that are here already",
        request=JudgeModelSerializer,
        responses={201: PreparedSerializer},
    )
    def post(self, request: Request, key: str) -> Response:
        entry = ENTRIES.get(key)
        if entry is None:
            raise Http404
        form = JudgeModelSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            made = services.entry_prepare(self.access, entry, judge_model=form.validated_data["judge_model"])
        except services.Refused as error:
            raise ValidationError({"judge_model": str(error)}) from error
        return Response(PreparedSerializer({"benchmark_id": made.pk}).data, status=HTTPStatus.CREATED)


@extend_schema(tags=["datasets"])
class HubUpload(WorkspaceView):
    roles: ClassVar = {"post": Role.EDITOR}

    @extend_schema(
        summary="Fetch a dataset from the hub",
        request=HubSerializer,
        responses={202: UploadStateSerializer},
        description="Once its state is `checking`, post to its `import`, with a mapping if need be.",
    )
    def post(self, request: Request) -> Response:
        form = HubSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sent = dict(form.validated_data)
        name = sent.pop("name")
        try:
            return accepted(request, services.place_fetch(self.access, Place(**sent), dataset_name=name))
        except services.BadPlace as error:
            raise ValidationError({"repo": str(error)}) from error
