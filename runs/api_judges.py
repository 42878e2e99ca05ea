"""The API of a run's judges: what they found, how far they are, and asking another one."""

from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from runs import services
from runs.api_serializers import JudgingSerializer
from runs.models import Run
from runs.selectors import runs_of, with_counters
from runs.selectors_verdicts import judge_figures
from runs.services import BadJudge, CannotDo, LaunchProblems, Terms
from workspaces.api import WorkspaceViewSet, idempotent
from workspaces.api_errors import Conflict
from workspaces.models import Role

Plain = dict[str, Any]
RUN_ID = OpenApiParameter("run_id", int, OpenApiParameter.PATH)
LARGEST_ID = 2**63 - 1


class RunJudgeSerializer(serializers.Serializer[Any]):
    """A judge, a panel or a member of one: how far it is and what it found."""

    name = serializers.CharField(help_text="That its scores have")
    title = serializers.CharField()
    kind = serializers.ChoiceField(choices=["classify", "score", "compare"])
    panel = serializers.CharField(allow_blank=True, help_text="That it is a member of")
    version = serializers.IntegerField(help_text="Id of the judge's version")
    judging = JudgingSerializer(allow_null=True, help_text="Null of a panel, which is its members'")
    figures = serializers.DictField(
        child=serializers.JSONField(), help_text="Counts, shares and means with n and 95% interval"
    )


class AddJudgeSerializer(serializers.Serializer[Any]):
    """A judge to be asked about the responses that are there and those to come."""

    judge = serializers.JSONField(help_text="The id of a version, or the name of a judge: its newest version")
    opponent_run_id = serializers.IntegerField(
        required=False, allow_null=True, max_value=LARGEST_ID, help_text="Of a judge that compares"
    )
    cost_ceiling = serializers.DecimalField(14, 4, required=False, allow_null=True)
    token_ceiling = serializers.IntegerField(required=False, allow_null=True)
    max_failures = serializers.IntegerField(default=5, min_value=1, max_value=20)
    cache = serializers.BooleanField(default=False)


class JudgeViewSet(WorkspaceViewSet):
    """The judges of one run. A judging is a run too: pause, resume, cancel, retry and delete it as one."""

    roles: ClassVar = {"read": Role.VIEWER, "create": Role.EDITOR}
    queryset = Run.objects.all()
    serializer_class = RunJudgeSerializer
    pagination_class = None

    @property
    def run(self) -> Run:
        return get_object_or_404(with_counters(runs_of(self.access.workspace)), pk=self.kwargs["run_id"])

    @extend_schema(
        tags=["judges"],
        summary="What a run's judges found, and how far they are",
        parameters=[RUN_ID],
        responses=RunJudgeSerializer(many=True),
    )
    def list(self, request: Request, run_id: str) -> Response:
        run = self.run
        judgings = {judging.pk: judging for judging in run.judgings.all()}
        rows = [
            {**entry, "judging": judgings.get(entry["judging"]), "figures": figures.as_dict()}
            for entry, figures in zip(run.config.get("judges", []), judge_figures(run), strict=True)
        ]
        return Response(RunJudgeSerializer(rows, many=True).data)

    @extend_schema(
        tags=["judges"],
        summary="Let another judge score the run; one judging for each judge model",
        parameters=[RUN_ID],
        request=AddJudgeSerializer,
        responses={202: JudgingSerializer(many=True)},
    )
    @idempotent
    def create(self, request: Request, run_id: str) -> Response:
        run = self.run
        form = AddJudgeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = cast(Plain, form.validated_data)
        judge, opponent = given.pop("judge"), given.pop("opponent_run_id", None)
        runs: QuerySet[Run] = runs_of(self.access.workspace)
        try:
            [version] = services.judges_named(self.access, [judge])
            judgings = services.add_judge(
                self.access,
                run,
                version,
                opponent=runs.filter(pk=opponent).first() if opponent else None,
                terms=Terms(**given),
            )
        except LaunchProblems as error:
            raise ValidationError({"judge": error.problems["judges"]}) from error
        except BadJudge as error:
            raise ValidationError({"judge": error.problems}) from error
        except CannotDo as error:
            raise Conflict(str(error)) from error
        return Response(JudgingSerializer(judgings, many=True).data, status=202)
