"""The API of benchmarks: each action is one selector or one service."""

from typing import Any, ClassVar

from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from benchmarks import services
from benchmarks.api_serializers import (
    BenchmarkEvaluationSerializer,
    BenchmarkSerializer,
    BundleSerializer,
    EvaluateSerializer,
    GateSerializer,
)
from benchmarks.bundles.archive import BadBundle
from benchmarks.bundles.writing import bundle
from benchmarks.exports import leaderboard_document
from benchmarks.junit import junit_xml
from benchmarks.models import Benchmark, BenchmarkEvaluation, BenchmarkPart, Gate
from benchmarks.selectors import evaluations_of, parts_of, phase_of
from benchmarks.selectors_gates import Candidate, Report, benchmark_report, dataset_report
from benchmarks.selectors_leaderboard import SHOWN_PER_MODEL, View, leaderboard
from benchmarks.services.gates import BadGate, gate_create, gate_delete
from benchmarks.services.importing import bundle_import
from benchmarks.wish import BenchmarkProblems
from datasets.models import Dataset
from datasets.selectors import datasets_of
from evalportal.lib.streaming import download
from runs.views.asked import whole
from workspaces.api import WorkspaceView, WorkspaceViewSet, idempotent
from workspaces.api_errors import Conflict
from workspaces.models import Role

CANDIDATE = [
    OpenApiParameter("model", str, description="The latest of this model; else the latest"),
    OpenApiParameter("evaluation", int, description="This evaluation of the benchmark"),
    OpenApiParameter("run", int, description="This run"),
    OpenApiParameter("as", str, enum=["junit"], description="JUnit XML instead of JSON"),
]


@extend_schema_view(
    list=extend_schema(tags=["benchmarks"], summary="Benchmarks, newest first"),
    retrieve=extend_schema(tags=["benchmarks"], summary="One benchmark with parts and phases"),
)
class BenchmarkViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViewSet):
    """Benchmarks."""

    roles: ClassVar = {"read": Role.VIEWER, "write": Role.EDITOR}
    queryset = Benchmark.objects.select_related("owner", "workspace")
    serializer_class = BenchmarkSerializer

    def get_queryset(self) -> QuerySet[Any, Any]:
        parts = BenchmarkPart.objects.select_related("version__dataset").prefetch_related("judges")
        return super().get_queryset().prefetch_related(Prefetch("parts", parts), "phases")

    @extend_schema(tags=["benchmarks"], summary="Make a benchmark", responses={201: BenchmarkSerializer})
    @idempotent
    def create(self, request: Request) -> Response:
        made = self._commanded(lambda wish: services.benchmark_create(self.access, wish))
        return Response(self.get_serializer(self.get_queryset().get(pk=made.pk)).data, status=201)

    @extend_schema(tags=["benchmarks"], summary="Change a benchmark; what is left out goes")
    def update(self, request: Request, pk: str) -> Response:
        benchmark = self.get_object()
        self._commanded(lambda wish: services.benchmark_update(self.access, benchmark, wish))
        return Response(self.get_serializer(self.get_queryset().get(pk=benchmark.pk)).data)

    @extend_schema(tags=["benchmarks"], summary="Delete it with all its evaluations", responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        services.benchmark_delete(self.access, self.get_object())
        return Response(status=204)

    def _commanded(self, command: Any) -> Any:
        form = BenchmarkSerializer(data=self.request.data)
        form.is_valid(raise_exception=True)
        try:
            return command(form.wish())
        except BenchmarkProblems as error:
            raise ValidationError(error.problems) from error

    @extend_schema(
        tags=["benchmarks"],
        summary="Ranks with intervals, and who does not rank",
        parameters=[
            OpenApiParameter("phase", int),
            OpenApiParameter("show", str, enum=list(SHOWN_PER_MODEL)),
            OpenApiParameter("section", str),
            OpenApiParameter("metric", str),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    @action(detail=True)
    def leaderboard(self, request: Request, pk: str) -> Response:
        benchmark, query = self.get_object(), request.query_params
        show = query.get("show", "best")
        view = View(
            show if show in SHOWN_PER_MODEL else "best", query.get("section", ""), query.get("metric", "")
        )
        board = leaderboard(benchmark, phase_of(benchmark, whole(query.get("phase"))), view)
        return Response(leaderboard_document(board))

    @extend_schema(
        tags=["benchmarks"],
        summary="Evaluate a model: one run for each part",
        request=EvaluateSerializer,
        responses={202: BenchmarkEvaluationSerializer},
    )
    @action(detail=True, methods=["post"])
    @idempotent
    def evaluate(self, request: Request, pk: str) -> Response:
        benchmark = self.get_object()
        form = EvaluateSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            made = services.evaluate(self.access, benchmark, services.EvaluationWish(**form.validated_data))
        except services.CannotEvaluate as error:
            raise Conflict(str(error)) from error
        row = evaluations_of(self.access.workspace).get(pk=made.pk)
        return Response(BenchmarkEvaluationSerializer(row).data, status=202)

    @extend_schema(
        tags=["gates"], summary="What its gates say", parameters=CANDIDATE, responses=OpenApiTypes.OBJECT
    )
    @action(detail=True)
    def gates(self, request: Request, pk: str) -> HttpResponseBase:
        return reported(request, benchmark_report(self.get_object(), candidate_of(request)))

    @extend_schema(
        tags=["gates"], summary="Add a gate", request=GateSerializer, responses={201: GateSerializer}
    )
    @gates.mapping.post
    def add_gate(self, request: Request, pk: str) -> Response:
        return added(self, request, self.get_object())

    @extend_schema(
        tags=["benchmarks"],
        summary="The benchmark with its items as a zip",
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
    )
    @action(detail=True)
    def bundle(self, request: Request, pk: str) -> HttpResponseBase:
        benchmark = self.get_object()
        pieces = bundle(benchmark, list(parts_of(benchmark)))
        return download(
            request._request, pieces, filename=f"{benchmark.slug}.zip", content_type="application/zip"
        )

    @extend_schema(
        tags=["benchmarks"],
        summary="Make a benchmark from a bundle",
        request={"multipart/form-data": BundleSerializer},
        responses={201: OpenApiTypes.OBJECT},
    )
    @action(detail=False, methods=["post"], url_path="import", parser_classes=[MultiPartParser])
    def import_bundle(self, request: Request) -> Response:
        form = BundleSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            made = bundle_import(
                self.access, form.validated_data["file"].file, name=form.validated_data.get("name", "")
            )
        except BadBundle as error:
            raise ValidationError({"file": [str(error)]}) from error
        except BenchmarkProblems as error:
            raise ValidationError(error.problems) from error
        row = self.get_queryset().get(pk=made.benchmark.pk)
        return Response({"benchmark": self.get_serializer(row).data, "left_out": made.left_out}, status=201)


def candidate_of(request: Request) -> Candidate:
    query = request.query_params
    return Candidate(query.get("model", "")[:120], whole(query.get("evaluation")), whole(query.get("run")))


def reported(request: Request, report: Report) -> HttpResponseBase:
    if request.query_params.get("as") == "junit":
        return HttpResponse(junit_xml(report), content_type="application/xml")
    return Response(report.as_json())


def added(view: WorkspaceView, request: Request, of: Benchmark | Dataset) -> Response:
    form = GateSerializer(data=request.data)
    form.is_valid(raise_exception=True)
    given = form.validated_data
    try:
        gate = gate_create(view.access, of, rule=given["rule"], options=given.get("options", {}))
    except BadGate as error:
        raise ValidationError({"rule": [str(error)]}) from error
    return Response({"id": gate.pk, "rule": gate.rule, "options": gate.options}, status=201)


@extend_schema_view(
    list=extend_schema(
        tags=["benchmarks"],
        summary="Evaluations on benchmarks, newest first",
        parameters=[OpenApiParameter("benchmark", int)],
    ),
    retrieve=extend_schema(tags=["benchmarks"], summary="The scores of one evaluation"),
)
class BenchmarkEvaluationViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViewSet):
    """Models on benchmarks."""

    roles: ClassVar = {"read": Role.VIEWER, "destroy": Role.EDITOR}
    queryset = BenchmarkEvaluation.objects.all()
    serializer_class = BenchmarkEvaluationSerializer
    workspace_path = "benchmark__workspace"

    def get_queryset(self) -> QuerySet[Any, Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        rows = evaluations_of(self.access.workspace)
        benchmark = whole(self.request.query_params.get("benchmark"))
        return rows.filter(benchmark=benchmark) if benchmark else rows

    @extend_schema(tags=["benchmarks"], summary="Delete it with its runs, for good", responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        services.benchmark_evaluation_delete(self.access, self.get_object())
        return Response(status=204)


class DatasetGates(WorkspaceView):
    """Gates of a dataset: candidate and baseline are runs on it."""

    roles: ClassVar = {"get": Role.VIEWER, "post": Role.EDITOR}

    @extend_schema(
        operation_id="dataset_gates",
        tags=["gates"],
        summary="What its gates say",
        parameters=CANDIDATE,
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return reported(request, dataset_report(self._dataset(pk), candidate_of(request)))

    @extend_schema(
        operation_id="dataset_gate_create",
        tags=["gates"],
        summary="Add a gate",
        request=GateSerializer,
        responses={201: GateSerializer},
    )
    def post(self, request: Request, pk: int) -> Response:
        return added(self, request, self._dataset(pk))

    def _dataset(self, pk: int) -> Dataset:
        return get_object_or_404(datasets_of(self.access.workspace), pk=pk)


class GateView(WorkspaceView):
    roles: ClassVar = {"delete": Role.EDITOR}

    @extend_schema(operation_id="gate_delete", tags=["gates"], summary="Remove a gate", responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        gate_delete(self.access, get_object_or_404(Gate, workspace=self.access.workspace, pk=pk))
        return Response(status=204)
