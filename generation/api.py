"""The API of query generation: begin, watch, decide on drafts, make the dataset."""

from collections.abc import Callable
from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from generation import selectors, services
from generation.forms import contents
from generation.models import Draft, DraftState, Generation
from generation.passages import USUAL_PASSAGE
from generation.prompts import PROMPTS
from generation.services import GenerationProblems, Wish
from workspaces.api import WorkspaceViewSet, idempotent
from workspaces.api_base import KeysetPagination
from workspaces.api_errors import Conflict
from workspaces.models import Role
from workspaces.services import Refused

TAGS = ["query generation"]
NUMBER = OpenApiParameter("number", int, OpenApiParameter.PATH, description="The draft's number, from 1")
LARGEST_ID = 2**63 - 1


class DraftedQueryCountSerializer(serializers.Serializer[Any]):
    """Drafts by what was decided."""

    open = serializers.IntegerField()
    approved = serializers.IntegerField()
    dropped = serializers.IntegerField()
    open_similar = serializers.IntegerField(help_text="Of the open ones: near-duplicates of an earlier draft")
    read = serializers.IntegerField(help_text="Responses that were read")
    unread = serializers.IntegerField(help_text="Of those: in which no draft was found")
    goes_on = serializers.BooleanField(help_text="Whether drafts may still come")


class GenerationSerializer(serializers.ModelSerializer[Generation]):
    """A drafting with its run and what it became."""

    run = serializers.IntegerField(source="run_id", allow_null=True)
    version = serializers.IntegerField(source="version_id", allow_null=True, help_text="Of the dataset")
    model = serializers.CharField(source="model_name")

    class Meta:
        model = Generation
        fields: ClassVar = [
            "id", "name", "stage", "problems", "run", "model", "wanted", "template", "documents",
            "read_count", "version", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class GenerationDetailSerializer(GenerationSerializer):
    """The same, with how far it is."""

    drafts = serializers.SerializerMethodField()

    class Meta(GenerationSerializer.Meta):
        fields: ClassVar = [*GenerationSerializer.Meta.fields, "drafts"]
        read_only_fields = fields

    @extend_schema_field(DraftedQueryCountSerializer)
    def get_drafts(self, generation: Generation) -> dict[str, Any]:
        return dict(DraftedQueryCountSerializer(selectors.standing(generation)).data)


class BeginSerializer(serializers.Serializer[Any]):
    """What is to be drafted; the documents come as several parts named `files`."""

    name = serializers.CharField(max_length=120, help_text="Of the dataset")
    model_id = serializers.IntegerField(max_value=LARGEST_ID)
    prompt = serializers.ChoiceField(choices=list(PROMPTS), default="facts")
    template = serializers.CharField(required=False, trim_whitespace=False, help_text="Instead of `prompt`")
    wanted = serializers.IntegerField(default=20, help_text="Questions in all")
    passage_characters = serializers.IntegerField(default=USUAL_PASSAGE)
    params = serializers.JSONField(required=False, help_text='Such as {"temperature": 0.7}')
    cost_ceiling = serializers.DecimalField(14, 4, required=False, allow_null=True)
    token_ceiling = serializers.IntegerField(required=False, allow_null=True)
    files = serializers.ListField(child=serializers.FileField(), help_text="Text, Markdown, HTML or PDF")

    def wish(self) -> Wish:
        """After `is_valid`."""
        given = dict(cast(dict[str, Any], self.validated_data))
        files, prompt = given.pop("files"), given.pop("prompt")
        params = given.pop("params", {})
        if not isinstance(params, dict):
            raise ValidationError({"params": ["An object of parameters."]})
        template = given.pop("template", "") or PROMPTS[prompt].template
        return Wish(**given, files=contents(files), template=template, params=params)


class DraftedQuerySerializer(serializers.ModelSerializer[Draft]):
    """A drafted question."""

    state = serializers.ChoiceField(choices=DraftState.choices)
    choices = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Draft
        fields: ClassVar = [
            "number", "question", "reference", "choices", "document", "passage", "seq", "state", "edited",
            "similar_to", "similarity", "decided_at",
        ]  # fmt: skip
        read_only_fields = fields


class DecisionSerializer(serializers.Serializer[Any]):
    """A decision, new words (which approve it), or both."""

    state = serializers.ChoiceField(choices=DraftState.choices, required=False)
    question = serializers.CharField(required=False)
    reference = serializers.CharField(required=False)
    choices = serializers.ListField(child=serializers.CharField(), required=False)


class ApproveSerializer(serializers.Serializer[Any]):
    """Which of the open drafts."""

    but_similar = serializers.BooleanField(default=False, help_text="Leave near-duplicates to decide")


class CountSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()


class PublishSerializer(serializers.Serializer[Any]):
    """Where approved drafts go."""

    name = serializers.CharField(required=False, max_length=120, help_text="Default: the generation's")
    note = serializers.CharField(required=False, max_length=300)


class PublishedSerializer(serializers.Serializer[Any]):
    dataset = serializers.IntegerField()
    version = serializers.IntegerField(help_text="Its id, for a launch")
    number = serializers.IntegerField()
    items = serializers.IntegerField()
    created = serializers.BooleanField(help_text="False when the same content was there already")


class DraftedQueryPagination(KeysetPagination):
    ordering = "number"


def refused(command: Callable[[], Any]) -> Any:
    """What a service returns; what it refuses is a 409."""
    try:
        return command()
    except Refused as error:
        raise Conflict(str(error)) from error


@extend_schema_view(
    list=extend_schema(tags=TAGS, summary="Draftings, newest first"),
    retrieve=extend_schema(
        tags=TAGS, summary="One drafting, with how far it is", responses=GenerationDetailSerializer
    ),
)
class GenerationViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViewSet):
    """Query generation."""

    roles: ClassVar = {"read": Role.VIEWER, "write": Role.EDITOR}
    queryset = Generation.objects.select_related("workspace")
    serializer_class = GenerationSerializer
    parser_classes = (JSONParser, MultiPartParser)

    def get_serializer_class(self) -> type[Any]:
        return GenerationSerializer if self.action == "list" else GenerationDetailSerializer

    def get_object(self) -> Generation:
        """With the drafts of all responses that came in."""
        generation: Generation = super().get_object()
        services.reading_resume(generation)
        services.drafts_collect(generation)
        return generation

    @extend_schema(
        tags=TAGS, summary="Begin: a model drafts questions from documents",
        request={"multipart/form-data": BeginSerializer}, responses={202: GenerationDetailSerializer},
    )  # fmt: skip
    @idempotent
    def create(self, request: Request) -> Response:
        form = BeginSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            generation = services.generation_expect(self.access, form.wish())
        except GenerationProblems as error:
            raise ValidationError(error.problems) from error
        return Response(GenerationDetailSerializer(generation).data, status=202)

    @extend_schema(
        tags=TAGS,
        summary="Drafts by number",
        parameters=[OpenApiParameter("show", str, enum=list(selectors.SHOWN), description="Default: all")],
        responses=DraftedQuerySerializer(many=True),
    )
    @action(detail=True)
    def drafts(self, request: Request, pk: str) -> Response:
        rows: QuerySet[Draft] = selectors.drafts_shown(
            self.get_object(), request.query_params.get("show", "")
        )
        pages = DraftedQueryPagination()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(DraftedQuerySerializer(page, many=True).data)

    @extend_schema(
        tags=TAGS, summary="Approve, drop, reopen or edit one draft", parameters=[NUMBER],
        request=DecisionSerializer, responses=DraftedQuerySerializer,
    )  # fmt: skip
    @action(detail=True, methods=["patch"], url_path=r"drafts/(?P<number>\d{1,9})")
    def draft(self, request: Request, pk: str, number: str) -> Response:
        draft = self.get_object().drafts.filter(number=int(number)).first()
        if draft is None:
            raise Http404("There is no draft of that number.")
        form = DecisionSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = dict(cast(dict[str, Any], form.validated_data))
        state = given.pop("state", None)
        if given:
            now = {"question": draft.question, "reference": draft.reference, "choices": draft.choices}
            refused(lambda: services.draft_edit(self.access, draft, **(now | given)))
        if state:
            services.draft_decide(self.access, draft, DraftState(state))
        return Response(DraftedQuerySerializer(draft).data)

    @extend_schema(
        tags=TAGS, summary="Approve all open drafts", request=ApproveSerializer, responses=CountSerializer
    )
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        form = ApproveSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        drafts = self.get_object().drafts.filter(state=DraftState.OPEN)
        if cast(dict[str, Any], form.validated_data)["but_similar"]:
            drafts = drafts.filter(similar_to=None)
        return Response({"count": services.drafts_decide(self.access, drafts, DraftState.APPROVED)})

    @extend_schema(
        tags=TAGS,
        summary="Make a dataset version of the approved drafts",
        request=PublishSerializer,
        responses={201: PublishedSerializer},
    )
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, pk: str) -> Response:
        form = PublishSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given, generation = cast(dict[str, Any], form.validated_data), self.get_object()
        made = refused(lambda: services.generation_publish(self.access, generation, **given))
        version = made.version
        body = {
            "dataset": version.dataset_id, "version": version.pk, "number": version.number,
            "items": version.item_count, "created": made.created,
        }  # fmt: skip
        return Response(body, status=201)

    @extend_schema(tags=TAGS, summary="Remove the drafts; run and dataset stay", responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        services.generation_delete(self.access, self.get_object())
        return Response(status=204)
