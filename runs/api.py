"""The API of evaluations, runs and trials: each action is one selector or one service."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from runs import services
from runs.api_filters import RunFilter, TrialListFilter
from runs.api_serializers import (
    CeilingsSerializer,
    EvaluationSerializer,
    FailedAttemptSerializer,
    LaunchedSerializer,
    LaunchSerializer,
    RetriedSerializer,
    RunDetailSerializer,
    RunSerializer,
    TrialDetailSerializer,
    TrialSerializer,
)
from runs.exports import EXPORTS
from runs.exports.response import export_response
from runs.models import Attempt, Evaluation, Run, Trial
from runs.selectors import TrialFilter, listed, runs_of, trial_detail, trials_of, with_counters
from runs.selectors_attempts import failed_attempts
from runs.selectors_variants import show_as_asked
from runs.services import BadCeilings, CannotDo, LaunchProblems
from workspaces.access import Access
from workspaces.api import WorkspaceViewSet, idempotent
from workspaces.api_base import KeysetPagination
from workspaces.api_errors import Conflict
from workspaces.models import Role

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="A repeat with the same key launches nothing new",
)
NUMBER = OpenApiParameter(
    "seq", int, OpenApiParameter.PATH, description="The trial's number within the run, from 1"
)
RUN_ID = OpenApiParameter("run_id", int, OpenApiParameter.PATH)
PARAMS = ("temperature", "top_p", "max_tokens", "stop", "seed", "extra_body")


def commanded(command: Callable[[], Any]) -> Any:
    """What a service returns; what the run's state does not allow is a 409."""
    try:
        return command()
    except CannotDo as error:
        raise Conflict(str(error)) from error


@extend_schema_view(
    list=extend_schema(tags=["evaluations"], summary="Evaluations, newest first"),
    retrieve=extend_schema(tags=["evaluations"], summary="One evaluation with its runs"),
)
class EvaluationViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViewSet
):  # fmt: skip
    """Launches."""

    roles: ClassVar = {"read": Role.VIEWER, "create": Role.EDITOR}
    queryset = Evaluation.objects.select_related("created_by")
    serializer_class = EvaluationSerializer

    def get_queryset(self) -> QuerySet[Any, Any]:
        evaluations = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return evaluations
        runs = with_counters(listed(self.access.workspace)).order_by("pk")
        return evaluations.prefetch_related(Prefetch("runs", runs))

    @extend_schema(
        tags=["evaluations"],
        summary="Launch: one run per model, executed by workers",
        request=LaunchSerializer,
        responses={202: LaunchedSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        form = LaunchSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            judges = services.judges_named(self.access, form.judges_wanted())
            evaluation = services.launch(self.access, form.wish(judges))
        except LaunchProblems as error:
            raise ValidationError(_fields(error)) from error
        runs = list(evaluation.runs.filter(judged=None).order_by("pk").values_list("pk", flat=True))
        location = reverse("evaluation-detail", args=[evaluation.pk], request=request)
        return Response(
            {"id": evaluation.pk, "name": evaluation.name, "runs": runs},
            status=202,
            headers={"Location": location},
        )


def _fields(error: LaunchProblems) -> dict[str, Any]:
    """Problems by the request's fields: parameters stand under `params`."""
    params = {name: texts for name, texts in error.problems.items() if name in PARAMS}
    rest = {name: texts for name, texts in error.problems.items() if name not in PARAMS}
    return rest | ({"params": params} if params else {})


@extend_schema_view(
    list=extend_schema(tags=["runs"], summary="Runs, newest first"),
    retrieve=extend_schema(
        tags=["runs"],
        summary="One run with configuration, metrics and sections",
        responses=RunDetailSerializer,
    ),
)
class RunViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViewSet):
    """Runs and what may be done to them."""

    roles: ClassVar = {"read": Role.VIEWER, "write": Role.EDITOR}
    queryset = Run.objects.all()
    serializer_class = RunSerializer
    filterset_class = RunFilter

    def get_queryset(self) -> QuerySet[Any, Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        find = listed if self.action == "list" else runs_of
        return with_counters(find(self.access.workspace))

    def get_serializer_class(self) -> type[Any]:
        return RunSerializer if self.action == "list" else RunDetailSerializer

    @extend_schema(tags=["runs"], summary="Delete a run and all its results, for good", responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        run = self.get_object()
        commanded(lambda: services.run_delete(self.access, run))
        return Response(status=204)

    @extend_schema(
        tags=["runs"],
        summary="Stop for good; finished trials stay",
        request=None,
        responses=RunDetailSerializer,
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        return self.done(services.run_cancel)

    @extend_schema(
        tags=["runs"], summary="Take no further trials", request=None, responses=RunDetailSerializer
    )
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        return self.done(services.run_pause)

    @extend_schema(
        tags=["runs"],
        summary="Go on with a paused or canceled run",
        request=None,
        responses=RunDetailSerializer,
    )
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        return self.done(services.run_resume)

    @extend_schema(
        tags=["runs"],
        summary="Set the ceilings of a run that waits, and let it go on",
        request=CeilingsSerializer,
        responses=RunDetailSerializer,
    )
    @action(detail=True, methods=["post"])
    def ceilings(self, request: Request, pk: str) -> Response:
        run = self.get_object()
        form = CeilingsSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = form.ceilings(run)
        try:
            return self.done(lambda access, run: services.run_set_ceilings(access, run, **wanted))
        except BadCeilings as error:
            raise ValidationError(error.problems) from error

    @extend_schema(
        tags=["runs"],
        summary="Ask all errored trials again",
        request=None,
        responses={202: RetriedSerializer},
    )
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        run = self.get_object()
        count = commanded(lambda: services.run_retry(self.access, run))
        return Response({"retried": count}, status=202)

    @extend_schema(
        tags=["exports"],
        summary="Take the run away as a file",
        parameters=[OpenApiParameter("kind", str, OpenApiParameter.PATH, enum=list(EXPORTS))],
        responses={
            (200, "application/jsonl"): OpenApiTypes.BINARY,
            (200, "text/csv"): OpenApiTypes.BINARY,
            (200, "application/zip"): OpenApiTypes.BINARY,
        },
    )
    @action(detail=True, url_path=f"export/(?P<kind>{'|'.join(EXPORTS)})")
    def export(self, request: Request, pk: str, kind: str) -> HttpResponse:
        return export_response(request._request, self.get_object(), kind)

    def done(self, command: Callable[[Access, Run], Any]) -> Response:
        """The run as it is after a command."""
        run = self.get_object()
        commanded(lambda: command(self.access, run))
        return Response(self.get_serializer(self.get_object()).data)


class TrialPagination(KeysetPagination):
    """In order of their number."""

    ordering = "seq"


@extend_schema_view(
    list=extend_schema(
        tags=["trials"],
        summary="Trials of a run by number",
        parameters=[
            RUN_ID,
            OpenApiParameter("q", str, description="In prompt, response or answer, or the item's id"),
            OpenApiParameter("variant", int, description="Only that variant; 0 is the original"),
            OpenApiParameter(
                "flips", bool, description="Only items that were right in one trial and wrong in another"
            ),
        ],
    )
)
class TrialViewSet(mixins.ListModelMixin, WorkspaceViewSet):
    """The trials of one run."""

    roles: ClassVar = {"read": Role.VIEWER, "write": Role.EDITOR}
    queryset = Trial.objects.all()
    serializer_class = TrialSerializer
    filterset_class = TrialListFilter
    pagination_class = TrialPagination
    workspace_path = "run__workspace"
    lookup_field = "seq"

    @cached_property
    def run(self) -> Run:
        return get_object_or_404(runs_of(self.access.workspace), pk=self.kwargs["run_id"])

    def get_queryset(self) -> QuerySet[Any, Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        query = self.request.query_params
        variant = query.get("variant", "")
        wanted = TrialFilter(
            q=query.get("q", "").strip(),
            flips=query.get("flips", "").lower() in ("1", "true"),
            variant=int(variant) if variant.isascii() and variant.isdigit() and len(variant) < 4 else None,
        )
        found = trials_of(self.run, wanted)
        return (
            found.select_related("item").defer("item__responses", "item__metadata").prefetch_related("scores")
        )

    @extend_schema(
        tags=["trials"],
        summary="One trial with scores and attempts",
        parameters=[RUN_ID, NUMBER],
        responses=TrialDetailSerializer,
    )
    def retrieve(self, request: Request, run_id: str, seq: str) -> Response:
        return Response(TrialDetailSerializer(self.trial(self.run, seq)).data)

    @extend_schema(
        tags=["trials"],
        summary="Ask one errored trial again",
        parameters=[RUN_ID, NUMBER],
        request=None,
        responses={202: RetriedSerializer, 409: OpenApiResponse(description="It is not errored")},
    )
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, run_id: str, seq: str) -> Response:
        run = self.run
        trial = self.trial(run, seq)
        count = commanded(lambda: services.run_retry(self.access, run, [trial.pk]))
        return Response({"retried": count}, status=202)

    def trial(self, run: Run, seq: str) -> Trial:
        found = trial_detail(run, int(seq))
        if found is None:
            raise Http404("This run has no trial of that number.")
        found.run = run
        return found

    def paginate_queryset(self, queryset: Any) -> Any:
        """Each trial with its run, and its item as it was asked."""
        page = super().paginate_queryset(queryset)
        for trial in page or ():
            trial.run = self.run
        show_as_asked(self.run, page or ())
        return page


@extend_schema_view(
    list=extend_schema(
        tags=["trials"],
        summary="Failed attempts of a run, newest first",
        parameters=[
            RUN_ID,
            OpenApiParameter("kind", str, description="One kind, such as rate_limited, timeout, lost"),
        ],
    )
)
class AttemptViewSet(mixins.ListModelMixin, WorkspaceViewSet):
    """Calls of one run that brought no answer, with cause, status and wait."""

    roles: ClassVar = {"read": Role.VIEWER}
    queryset = Attempt.objects.all()
    serializer_class = FailedAttemptSerializer
    workspace_path = "run__workspace"

    def get_queryset(self) -> QuerySet[Any, Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        run = get_object_or_404(runs_of(self.access.workspace), pk=self.kwargs["run_id"])
        return failed_attempts(run, self.request.query_params.get("kind", ""))
