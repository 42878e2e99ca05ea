"""The API of people's labels: keeping them, taking them away, drawing samples and reading them."""

from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from analysis import services_labels
from analysis.api_label_shapes import (
    LabelFilter,
    LabelWriteSerializer,
    PeopleLabelSerializer,
    ResponseToLabelSerializer,
    SampleDetailSerializer,
    SampleSerializer,
    SampleWriteSerializer,
)
from analysis.exports_labels import MEDIA_TYPES, labels_file
from analysis.labelling import choices_of
from analysis.models import HumanLabel, ReviewSample
from analysis.selectors_labels import label_rows, labels_in
from analysis.selectors_review import responses_of, sample_in, samples_in, with_labelled
from analysis.services import TriageProblem
from evalportal.lib.streaming import download
from judges.models import Judge
from judges.selectors import versions_in
from runs.models import Trial
from runs.selectors import listed
from workspaces.api import WorkspaceViewSet, idempotent
from workspaces.api_base import KeysetPagination
from workspaces.models import Membership, Role, User

UNBLIND = OpenApiParameter(
    "unblind", bool, description="Also the judge's verdict on responses that you have not labelled yourself"
)
EXPORT = f"export/(?P<kind>{'|'.join(MEDIA_TYPES)})"
KIND = OpenApiParameter("kind", str, OpenApiParameter.PATH, enum=list(MEDIA_TYPES))


class LabelPagination(KeysetPagination):
    """Oldest first."""

    ordering = "id"


@extend_schema(tags=["labels"])
class LabelViewSet(WorkspaceViewSet):
    """What people say of judged responses."""

    roles: ClassVar = {"read": Role.VIEWER, "create": Role.EDITOR}
    queryset = HumanLabel.objects.all()
    serializer_class = PeopleLabelSerializer
    filterset_class = LabelFilter
    pagination_class = LabelPagination

    def get_queryset(self) -> QuerySet[Any, Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        return labels_in(self.access.workspace)

    @extend_schema(summary="Labels with their responses, oldest first", parameters=[UNBLIND])
    def list(self, request: Request) -> Response:
        """The judge's verdict stands beside labels of responses that you have labelled yourself."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        return self.get_paginated_response([row.as_dict() for row in self._rows(page)])

    @extend_schema(
        summary="Say what a response is, by a judge's rubric; your earlier label of it is replaced",
        request=LabelWriteSerializer,
        responses={201: PeopleLabelSerializer},
    )
    @idempotent
    def create(self, request: Request) -> Response:
        form = LabelWriteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = cast(dict[str, Any], form.validated_data)
        own = self.access.workspace
        judge = get_object_or_404(Judge, pk=given["judge_id"], workspace=own)
        run = get_object_or_404(listed(own), pk=given["run_id"])
        trial = get_object_or_404(Trial.objects.select_related("run"), run=run, seq=given["seq"])
        try:
            label = services_labels.label_keep(
                self.access, judge, trial, given["answer"], given["comment"].strip()
            )
        except services_labels.ReviewProblem as problem:
            raise ValidationError({"answer": [str(problem)]}) from problem
        (row,) = label_rows(labels_in(own).filter(pk=label.pk), self.access.actor, unblind=False)
        return Response(row.as_dict(), status=201)

    @extend_schema(
        summary="All of them as a file",
        parameters=[KIND, UNBLIND],
        responses={
            (200, "text/csv"): OpenApiTypes.BINARY,
            (200, "application/json"): OpenApiTypes.BINARY,
        },
    )
    @action(detail=False, url_path=EXPORT)
    def export(self, request: Request, kind: str) -> HttpResponse:
        labels = self.filter_queryset(self.get_queryset()).order_by("pk").iterator(chunk_size=500)
        made = labels_file(self._rows(labels), kind)
        whole = request._request
        return cast(
            HttpResponse,
            download(whole, made, filename=f"labels.{kind}", content_type=MEDIA_TYPES[kind]),
        )

    def _rows(self, labels: Any) -> Any:
        wanted = self.request.query_params.get("unblind", "").lower() in ("1", "true", "yes")
        return label_rows(labels, self.access.actor, unblind=wanted)


@extend_schema(tags=["labels"])
@extend_schema_view(list=extend_schema(summary="Samples drawn for people to label, newest first"))
class ReviewSampleViewSet(mixins.ListModelMixin, WorkspaceViewSet):
    """Random samples of a run's judged responses."""

    roles: ClassVar = {"read": Role.VIEWER, "create": Role.EDITOR}
    queryset = ReviewSample.objects.all()
    serializer_class = SampleSerializer

    def get_queryset(self) -> QuerySet[Any, Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        return samples_in(self.access.workspace)

    def paginate_queryset(self, queryset: Any) -> Any:
        return [_with(row, done) for row, done in with_labelled(super().paginate_queryset(queryset) or [])]

    @extend_schema(summary="A sample with its responses", responses=SampleDetailSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        """Without verdicts and other people's labels; of a comparison in the order in which to show them."""
        ((row, done),) = with_labelled([self.get_object()])
        return Response(SampleDetailSerializer(_with(row, done, responses=self._responses(row))).data)

    @extend_schema(
        summary="Draw responses that nobody has labelled yet, at random",
        request=SampleWriteSerializer,
        responses={201: SampleSerializer},
    )
    @idempotent
    def create(self, request: Request) -> Response:
        form = SampleWriteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = cast(dict[str, Any], form.validated_data)
        judge = get_object_or_404(Judge, pk=given["judge_id"], workspace=self.access.workspace)
        run = get_object_or_404(listed(self.access.workspace), pk=given["run_id"])
        assignee = self._member(given["assignee"])
        try:
            row = services_labels.sample_draw(
                self.access, judge, run, given["size"], assignee.pk if assignee else None
            )
        except (services_labels.ReviewProblem, TriageProblem) as problem:
            raise ValidationError({"run_id": [str(problem)]}) from problem
        return Response(SampleSerializer(_with(row, 0)).data, status=201)

    def _member(self, email: str) -> User | None:
        if not email:
            return None
        members = Membership.objects.filter(workspace=self.access.workspace, user__email__iexact=email)
        found = members.select_related("user").first()
        if found is None:
            raise ValidationError({"assignee": ["Only a member of the workspace can be assigned."]})
        return found.user

    def _responses(self, row: ReviewSample) -> list[dict[str, Any]]:
        sample = sample_in(row)
        if sample is None:
            return []
        version = versions_in(self.access.workspace).get(pk=sample.entry["version"])
        mine = HumanLabel.objects.filter(judge=row.judge, run=row.run, person=self.access.actor)
        said = dict(mine.values_list("trial_id", "answer").order_by())
        rows = [
            {
                "seq": trial.seq,
                "item_id": trial.item.external_id,
                "prompt": trial.item.prompt,
                "references": trial.item.references,
                "responses": responses,
                "answers": [
                    {"answer": each.answer, "words": each.words}
                    for each in choices_of(version, sample.shows_swapped(trial.pk))
                ],
                "own": said.get(trial.pk, ""),
            }
            for trial, responses in responses_of(sample)
        ]
        return cast(list[dict[str, Any]], ResponseToLabelSerializer(rows, many=True).data)


def _with(row: ReviewSample, labelled: int, **more: Any) -> dict[str, Any]:
    return {
        "id": row.pk, "judge_id": row.judge_id, "judge": row.judge.name, "run_id": row.run_id,
        "size": row.size, "seed": row.seed, "after": row.after, "labelled": labelled,
        "assignee": row.assignee.email if row.assignee else "", "created_at": row.created_at, **more,
    }  # fmt: skip
