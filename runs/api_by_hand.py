"""The API of answers that people fill in: the pack, what is filled in, taking answers, scoring."""

from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from runs import selectors_by_hand, services
from runs.models import BY_HAND, HandAnswer, Run
from runs.packs import BadPack, pack_of
from runs.selectors import runs_of
from runs.services import CannotDo, Imported
from runs.services.by_hand import MOST_BYTES
from workspaces.api import WorkspaceViewSet
from workspaces.api_base import KeysetPagination
from workspaces.api_errors import Conflict
from workspaces.models import Role

RUN_ID = OpenApiParameter("run_id", int, OpenApiParameter.PATH)
SHOWN_ROWS = 1_000


class HandAnswerSerializer(serializers.ModelSerializer[HandAnswer]):
    """What was filled in for one prompt."""

    number = serializers.IntegerField(source="trial.seq", help_text="The prompt's, from 1 within the run")
    answered_by = serializers.CharField(source="answered_by.email", default="")

    class Meta:
        model = HandAnswer
        fields: ClassVar = ["number", "text", "answered_by", "answered_at"]
        read_only_fields = fields


class AnswersSerializer(serializers.Serializer[Any]):
    """A filled-in pack as a file, or rows of number and answer."""

    file = serializers.FileField(required=False, help_text="The filled-in pack")
    answers = serializers.ListField(
        child=serializers.JSONField(),
        required=False,
        max_length=100_000,
        help_text='Instead of a pack: [{"number": 1, "answer": "…"}]',
    )
    leave_out = serializers.BooleanField(default=False, help_text="Take the good rows where others are bad")
    score = serializers.BooleanField(default=False, help_text="Score the run afterwards")


class BadRowSerializer(serializers.Serializer[Any]):
    """A row that cannot be taken; row and number are 0 where there is none."""

    row = serializers.IntegerField()
    number = serializers.IntegerField()
    reason = serializers.CharField()


class ImportedSerializer(serializers.Serializer[Any]):
    """What was taken. With bad rows and without `leave_out` nothing is."""

    saved = serializers.IntegerField()
    same = serializers.IntegerField(help_text="Were there already")
    empty = serializers.IntegerField(help_text="Rows without an answer")
    bad = BadRowSerializer(many=True)


class AnswerPagination(KeysetPagination):
    ordering = "id"


@extend_schema_view(
    list=extend_schema(
        tags=["answers by hand"], summary="What people have filled in so far", parameters=[RUN_ID]
    )
)
class HandAnswerViewSet(mixins.ListModelMixin, WorkspaceViewSet):
    """Answers of one run that people fill in."""

    roles: ClassVar = {"read": Role.VIEWER, "write": Role.EDITOR}
    queryset = HandAnswer.objects.all()
    serializer_class = HandAnswerSerializer
    pagination_class = AnswerPagination
    parser_classes = (JSONParser, MultiPartParser)
    workspace_path = "run__workspace"

    @property
    def run(self) -> Run:
        return get_object_or_404(
            runs_of(self.access.workspace), pk=self.kwargs["run_id"], config__responses=BY_HAND
        )

    def get_queryset(self) -> QuerySet[Any, Any]:
        answers = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return answers
        return answers.filter(run=self.run).select_related("trial", "answered_by")

    @extend_schema(
        tags=["answers by hand"],
        summary="Take answers, from a filled-in pack or as rows",
        parameters=[RUN_ID],
        request=AnswersSerializer,
        responses={200: ImportedSerializer, 422: ImportedSerializer},
    )
    def create(self, request: Request, run_id: str) -> Response:
        run = self.run
        form = AnswersSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = cast(dict[str, Any], form.validated_data)
        try:
            done = self._taken(run, given)
            if given["score"] and done.done:
                services.by_hand_score(self.access, run)
        except BadPack as error:
            raise ValidationError({"file": [str(error)]}) from error
        except CannotDo as error:
            raise Conflict(str(error)) from error
        body = {"saved": done.saved, "same": done.same, "empty": done.empty, "bad": done.bad[:SHOWN_ROWS]}
        return Response(ImportedSerializer(body).data, status=200 if done.done else 422)

    def _taken(self, run: Run, given: dict[str, Any]) -> Imported:
        if ("file" in given) == ("answers" in given):
            raise ValidationError("Send either a filled-in pack as `file`, or `answers`.")
        if "answers" in given:
            rows = given["answers"]
            return services.answers_import(self.access, run, rows, leave_out=given["leave_out"])
        data = cast(Any, given["file"]).read(MOST_BYTES + 1)
        return services.pack_import(self.access, run, data, leave_out=given["leave_out"])

    @extend_schema(
        tags=["answers by hand"],
        summary="The signed pack: prompts only",
        parameters=[RUN_ID],
        responses={(200, "application/json"): OpenApiTypes.OBJECT},
    )
    @action(detail=False)
    def pack(self, request: Request, run_id: str) -> Response:
        run = self.run
        return Response(pack_of(run, selectors_by_hand.prompts_of(run), run.total))

    @extend_schema(
        tags=["answers by hand"],
        summary="Score what is filled in",
        parameters=[RUN_ID],
        request=None,
        responses={202: None, 409: OpenApiResponse(description="Nothing is filled in, or it is scored")},
    )
    @action(detail=False, methods=["post"])
    def score(self, request: Request, run_id: str) -> Response:
        run = self.run
        try:
            services.by_hand_score(self.access, run)
        except CannotDo as error:
            raise Conflict(str(error)) from error
        return Response(status=202)
