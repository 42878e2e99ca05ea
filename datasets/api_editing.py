"""Versions compared, edited and cut to subsets over the API."""

from http import HTTPStatus
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError as Invalid
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import DestroyModelMixin, ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from datasets import services_drafts as services
from datasets.diffs import KINDS, counterparts, difference_counts, different, item_changes
from datasets.filters import KINDS as ITEM_KINDS
from datasets.filters import ItemFilter
from datasets.models import Dataset, DatasetVersion, Draft, Item, Subset
from datasets.selectors import datasets_of, ready_versions
from datasets.subsets import subsets_of
from workspaces.api import WorkspaceViewSet
from workspaces.api_errors import MEDIA_TYPE, problem
from workspaces.models import Role
from workspaces.services import Refused

MOST_CHANGES = 1000


class FilterSerializer(serializers.Serializer[Any]):
    """Part of a version's items; what is left out does not narrow it."""

    q = serializers.CharField(required=False, help_text="Part of the prompt or id")
    section = serializers.CharField(required=False, help_text="Exactly this section; - for none")
    kind = serializers.CharField(required=False, help_text=f"One of {', '.join(ITEM_KINDS)}")
    tag = serializers.CharField(required=False)
    meta = serializers.CharField(required=False, help_text="A path in the metadata, as in a.b")
    value = serializers.CharField(required=False, help_text="What the metadata hold there")
    check = serializers.CharField(required=False, help_text="duplicate, no_reference or leak")


class SubsetSerializer(serializers.ModelSerializer[Subset]):
    dataset = serializers.PrimaryKeyRelatedField(queryset=Dataset.objects.all())
    filter = FilterSerializer(required=False)

    class Meta:
        model = Subset
        fields = ("id", "dataset", "name", "filter", "size", "seed", "created_at")
        read_only_fields = ("id", "created_at")
        validators: ClassVar[list[Any]] = []  # the service tells a taken name


@extend_schema(tags=["datasets"])
@extend_schema_view(
    list=extend_schema(summary="Saved subsets"),
    retrieve=extend_schema(summary="One subset"),
    create=extend_schema(summary="Save a subset: a filter, the first n, or a random sample with a seed"),
    destroy=extend_schema(summary="Delete a subset; runs keep what they were asked"),
)
class SubsetViewSet(ListModelMixin, RetrieveModelMixin, DestroyModelMixin, WorkspaceViewSet):
    queryset = Subset.objects.all()
    serializer_class = SubsetSerializer
    workspace_path = "dataset__workspace"
    roles: ClassVar = {"read": Role.VIEWER, "write": Role.EDITOR}

    def get_queryset(self) -> QuerySet[Any, Any]:
        if getattr(self, "swagger_fake_view", False):
            return Subset.objects.none()
        return subsets_of(self.access.workspace).order_by()

    def create(self, request: Request) -> Response:
        form = SubsetSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sent = cast(dict[str, Any], form.validated_data)
        if not datasets_of(self.access.workspace).filter(pk=sent["dataset"].pk).exists():
            raise ValidationError({"dataset": "No such dataset in this workspace."})
        try:
            made = services.subset_create(
                self.access, sent["dataset"], name=sent["name"], size=sent.get("size"), seed=sent.get("seed"),
                wanted=ItemFilter.of(sent.get("filter") or {}),
            )  # fmt: skip
        except Invalid as error:
            raise ValidationError(error.message_dict) from error
        return Response(SubsetSerializer(made).data, status=HTTPStatus.CREATED)

    def perform_destroy(self, instance: Subset) -> None:
        services.subset_delete(self.access, instance)


# Differences


class ChangedFieldSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(source="label")
    before = serializers.SerializerMethodField()
    after = serializers.SerializerMethodField()

    def get_before(self, change: Any) -> str:
        return "".join(text for _, text in change.before)

    def get_after(self, change: Any) -> str:
        return "".join(text for _, text in change.after)


class DifferenceSerializer(serializers.Serializer[Any]):
    position = serializers.IntegerField(source="item.position")
    external_id = serializers.CharField(source="item.external_id")
    key = serializers.CharField(source="item.key", help_text="The same item in every version")
    changes = ChangedFieldSerializer(many=True, help_text="Of a changed item")


class DiffSerializer(serializers.Serializer[Any]):
    """How two versions differ."""

    before = serializers.IntegerField(allow_null=True, help_text="The earlier one; null for the first")
    counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="changed, added, removed, same"
    )
    items = DifferenceSerializer(many=True)
    next_after = serializers.IntegerField(allow_null=True, help_text="Send it as `after` for the next page")


DIFF_PARAMETERS = [
    OpenApiParameter(
        "from", OpenApiTypes.INT, description="Id of an earlier version; default: the one before"
    ),
    OpenApiParameter("kind", OpenApiTypes.STR, enum=list(KINDS), description="Default: changed"),
    OpenApiParameter("after", OpenApiTypes.INT, description="Only items after this position"),
]
PAGE = 100


def diff_of(access: Any, after: DatasetVersion, params: Any) -> dict[str, Any]:
    """A page of differences. Raises ValidationError, Http404 for a version of another dataset."""
    earlier, place = params.get("from", ""), params.get("after") or "0"
    if any(text and not (text.isascii() and text.isdigit()) for text in (earlier, place)):
        raise ValidationError({"from": "The id of an earlier version of this dataset."})
    versions = ready_versions(access.workspace).filter(dataset=after.dataset_id)
    past = versions.filter(number__lt=after.number).order_by("-number")
    before = get_object_or_404(versions, pk=min(int(earlier), 2**62)) if earlier else past.first()
    if before is None:
        return {"before": None, "counts": {}, "items": [], "next_after": None}
    kind = params.get("kind") or "changed"
    if kind not in KINDS:
        raise ValidationError({"kind": f"One of {', '.join(KINDS)}."})
    rows = list(different(before, after, kind).filter(position__gt=min(int(place), 2**31 - 1))[: PAGE + 1])
    page = rows[:PAGE]
    other = counterparts(page, before) if kind == "changed" else {}
    return {
        "before": before.pk,
        "counts": difference_counts(before, after, after.item_count),
        "items": [
            {"item": item, "changes": item_changes(other[item.key], item) if item.key in other else []}
            for item in page
        ],
        "next_after": page[-1].position if len(rows) > PAGE else None,
    }


# Edits


class ItemChangeSerializer(serializers.Serializer[Any]):
    """One item, by position or by id."""

    position = serializers.IntegerField(required=False, min_value=1)
    external_id = serializers.CharField(required=False)
    drop = serializers.BooleanField(default=False)
    set = serializers.DictField(
        required=False,
        help_text="prompt, section, references, choices, tags, rubric, weight; what is left out stays",
    )


class BulkChangeSerializer(serializers.Serializer[Any]):
    """Many items, by a filter."""

    filter = FilterSerializer()
    action = serializers.ChoiceField(choices=list(services.BULK))
    value = serializers.CharField(required=False, default="", allow_blank=True, help_text="Section or tag")


class EditsSerializer(serializers.Serializer[Any]):
    """Changes that together make the next version, or nothing."""

    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=300)
    items = ItemChangeSerializer(many=True, required=False, default=list)
    bulk = BulkChangeSerializer(many=True, required=False, default=list, help_text="Applied before `items`")


def version_edit(
    access: Any, version: DatasetVersion, sent: dict[str, Any]
) -> Response | DatasetVersion | None:
    """The next version, None while a worker makes it, or the refusal. A failed edit leaves no draft."""
    if Draft.objects.filter(dataset=version.dataset_id).exists():
        return _conflict("The dataset has a draft. Publish or discard it first.")
    draft = services.draft_start(access, version, at_once=True)
    try:
        _apply(access, draft, sent)
        made = services.draft_publish(access, draft, sent["note"])
    except Invalid as error:
        services.draft_discard(access, draft)
        raise ValidationError(error.message_dict) from error
    except Refused as error:
        services.draft_discard(access, draft)
        return _conflict(str(error))
    left = None if made else Draft.objects.filter(pk=draft.pk).select_related("version").first()
    if left and left.problem:
        services.draft_discard(access, left)
        return _conflict(left.problem)
    return made


def _conflict(words: str) -> Response:
    return Response(problem(HTTPStatus.CONFLICT, words), status=HTTPStatus.CONFLICT, content_type=MEDIA_TYPE)


def _apply(access: Any, draft: Draft, sent: dict[str, Any]) -> None:
    for bulk in sent["bulk"]:
        wanted = ItemFilter.of(bulk["filter"])
        services.draft_bulk(access, draft, bulk["action"], bulk["value"], wanted=wanted)
    if len(sent["items"]) > MOST_CHANGES:
        raise Invalid({"items": f"At most {MOST_CHANGES:,}; use bulk changes, or upload a version."})
    ids = [change["external_id"] for change in sent["items"] if "external_id" in change]
    rows = Item.objects.filter(version=draft.version_id, external_id__in=ids)
    places = dict(rows.values_list("external_id", "position"))
    dropped = []
    for change in sent["items"]:
        position = change.get("position") or places.get(change.get("external_id", ""))
        if position is None:
            raise Invalid({"items": f"No item {change.get('external_id', '')!r} in this version."})
        if change["drop"]:
            dropped.append(position)
        else:
            services.draft_edit(access, draft, position, change.get("set") or {})
    if dropped:
        services.draft_bulk(access, draft, "drop", positions=dropped)
