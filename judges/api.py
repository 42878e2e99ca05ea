"""The API of judges: rubrics, versions, preview, control set. Each action is one selector or one service."""

from dataclasses import asdict
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from evalportal.lib.plugins import UnknownPlugin
from judges import selectors, services
from judges.api_serializers import (
    ControlCheckSerializer,
    JudgeDetailSerializer,
    JudgeFilter,
    JudgeSerializer,
    JudgeVersionSerializer,
    JudgeWriteSerializer,
    PreviewedSerializer,
    PreviewSerializer,
    RubricSerializer,
)
from judges.checking import notes_on
from judges.draft import Draft
from judges.kinds.base import NoVerdict
from judges.models import Judge
from judges.rubrics import RUBRICS
from judges.selectors import Sampled
from workspaces.api import WorkspaceViewSet, idempotent
from workspaces.api_errors import Conflict
from workspaces.models import Role

CHECKS_SHOWN = 20


@extend_schema(tags=["judges"])
@extend_schema_view(
    list=extend_schema(summary="Judges, newest first"),
    retrieve=extend_schema(summary="One judge with its newest version", responses=JudgeDetailSerializer),
)
class JudgeViewSet(ListModelMixin, RetrieveModelMixin, WorkspaceViewSet):
    """Judges and their frozen versions."""

    roles: ClassVar = {"read": Role.VIEWER, "write": Role.EDITOR}
    queryset = Judge.objects.all()
    serializer_class = JudgeSerializer
    filterset_class = JudgeFilter

    def get_queryset(self) -> QuerySet[Any, Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        return selectors.all_judges_of(self.access.workspace)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(self._detail(self.get_object()))

    @extend_schema(
        summary="Create a judge, from a rubric or from nothing",
        request=JudgeWriteSerializer,
        responses={201: JudgeDetailSerializer},
    )
    @idempotent
    def create(self, request: Request) -> Response:
        draft = self._draft(request, Draft())
        version = services.judge_create(self.access, draft)
        location = reverse("judge-detail", args=[version.judge_id], request=request)
        return Response(self._detail(version.judge), status=201, headers={"Location": location})

    @extend_schema(
        methods=["GET"], operation_id="judges_versions_list", summary="All versions, newest first",
        responses=JudgeVersionSerializer(many=True), filters=False,
    )  # fmt: skip
    @extend_schema(
        methods=["POST"], operation_id="judges_versions_create",
        summary="The next version: what is left out stays as it is",
        request=JudgeWriteSerializer, responses={201: JudgeDetailSerializer, 200: JudgeDetailSerializer},
    )  # fmt: skip
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def versions(self, request: Request, pk: str) -> Response:
        judge = self.get_object()
        if request.method == "GET":
            rows = selectors.versions_in(self.access.workspace).filter(judge=judge)
            return Response(JudgeVersionSerializer(rows, many=True).data)
        newest = selectors.newest_version(judge)
        version = services.judge_revise(self.access, judge, self._draft(request, Draft.of(newest)))
        return Response(self._detail(version.judge), status=200 if version.pk == newest.pk else 201)

    @extend_schema(
        summary="What the newest version is asked about a dataset's first items, and with `ask` what it says",
        request=PreviewSerializer,
        responses=PreviewedSerializer,
    )
    @action(detail=True, methods=["post"])
    def preview(self, request: Request, pk: str) -> Response:
        judge, form = self.get_object(), PreviewSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sampled = selectors.sampled_of(
            self.access.workspace, form.validated_data["dataset_version"], form.validated_data["source"]
        )
        if sampled is None:
            raise ValidationError({"dataset_version": ["There is no such version."]})
        try:
            return Response(self._previewed(judge, sampled, form.validated_data))
        except services.Unavailable as why:
            raise Conflict(str(why)) from why

    @extend_schema(summary="Offer it nowhere any more", request=None, responses=JudgeDetailSerializer)
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, pk: str) -> Response:
        return self._archive(archived=True)

    @extend_schema(summary="Offer it again", request=None, responses=JudgeDetailSerializer)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: str) -> Response:
        return self._archive(archived=False)

    @extend_schema(
        methods=["GET"], operation_id="judges_controls_list",
        summary="Checks of the newest version on the control set, newest first",
        responses=ControlCheckSerializer(many=True), filters=False,
    )  # fmt: skip
    @extend_schema(
        methods=["POST"], operation_id="judges_controls_check",
        summary="Put the control set before the newest version, by a worker",
        request=None, responses={202: ControlCheckSerializer},
    )  # fmt: skip
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def controls(self, request: Request, pk: str) -> Response:
        version = selectors.newest_version(self.get_object())
        if request.method == "POST":
            check = services.check_controls(self.access, version)
            return Response(ControlCheckSerializer(check).data, status=202)
        found = version.control_checks.all()[:CHECKS_SHOWN]
        return Response(ControlCheckSerializer(found, many=True).data)

    @extend_schema(
        summary="Ready-made judges to start from", responses=RubricSerializer(many=True), filters=False
    )
    @action(detail=False, methods=["get"], pagination_class=None)
    def rubrics(self, request: Request) -> Response:
        rows = [{"key": key, **asdict(rubric)} for key, rubric in RUBRICS.items().items()]
        return Response(RubricSerializer(rows, many=True).data)

    def _archive(self, *, archived: bool) -> Response:
        judge = self.get_object()
        services.judge_archive(self.access, judge, archived=archived)
        return Response(self._detail(judge))

    def _detail(self, judge: Judge) -> Any:
        row = selectors.all_judges_of(self.access.workspace).get(pk=judge.pk)
        return JudgeDetailSerializer(row, context={"version": selectors.newest_version(row)}).data

    def _draft(self, request: Request, base: Draft) -> Draft:
        """What is sent over the base; with a rubric, over the rubric. Raises ValidationError."""
        form = JudgeWriteSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = dict(form.validated_data)
        rubric = given.pop("rubric", "")
        if rubric:
            try:
                base = services.draft_of_rubric(self.access.workspace, rubric)
            except UnknownPlugin as error:
                raise ValidationError({"rubric": [str(error)]}) from error
        return base.changed(**given)

    def _previewed(self, judge: Judge, sampled: Sampled, wanted: dict[str, Any]) -> dict[str, Any]:
        draft = Draft.of(selectors.newest_version(judge))
        sources = {name: wanted[name] for name in ("source", "other", "typed", "typed_other")}
        found = selectors.materials_of(sampled, **sources, compares=draft.kind == "compare")
        materials = [material for _, material in found if material]
        rendered = iter(services.preview(self.access, draft, materials))
        judged = iter(services.ask(self.access, draft, materials) if wanted["ask"] else [])
        items = []
        for item, material in found:
            row: dict[str, Any] = {"position": item.position, "response": material and material.response}
            if material:
                row["chats"] = [asdict(each) for each in next(rendered)]
                said = next(judged, None)
                row["verdict"] = _verdict(said.said) if said else None
            items.append({"chats": [], "verdict": None, **row})
        return {"items": items, "notes": notes_on(draft, sampled)}


def _verdict(said: Any) -> dict[str, Any]:
    if isinstance(said, NoVerdict):
        return {
            "value": None,
            "passed": None,
            "answer": "",
            "feedback": "",
            "flags": [],
            "unscored": str(said),
        }
    return {**asdict(said), "flags": list(said.flags), "unscored": ""}
