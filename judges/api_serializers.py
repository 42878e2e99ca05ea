"""Shapes of the judges' API."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from judges.models import ControlCheck, Judge, JudgeModel, JudgeVersion
from judges.selectors import TYPED, false_pass_rate


class LabelSerializer(serializers.Serializer[Any]):
    label = serializers.CharField(max_length=60)  # type: ignore[assignment]
    meaning = serializers.CharField(max_length=500, required=False, allow_blank=True)
    passes = serializers.BooleanField()


class JudgeModelSerializer(serializers.ModelSerializer[JudgeModel]):
    model = serializers.IntegerField(source="model_id", allow_null=True, help_text="Null once it was deleted")

    class Meta:
        model = JudgeModel
        fields = ("model", "name", "alias", "provider", "position")
        read_only_fields = fields


class JudgeVersionSerializer(serializers.ModelSerializer[JudgeVersion]):
    labels = LabelSerializer(many=True, read_only=True)
    parameters = serializers.DictField(read_only=True)
    models = JudgeModelSerializer(source="judge_models", many=True, read_only=True)

    class Meta:
        model = JudgeVersion
        fields = (
            "id", "number", "kind", "system_template", "user_template", "labels", "minimum", "maximum",
            "threshold", "integer", "both_orders", "repeats", "parameters", "aggregate", "min_votes", "note",
            "models", "fingerprint", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class JudgeSerializer(serializers.ModelSerializer[Judge]):
    kind = serializers.CharField(read_only=True, help_text="Of the newest version")
    latest_version = serializers.IntegerField(source="latest_id", read_only=True, help_text="Its id")
    latest_number = serializers.IntegerField(read_only=True)
    archived = serializers.SerializerMethodField()

    class Meta:
        model = Judge
        fields = (
            "id", "name", "description", "kind", "latest_version", "latest_number", "archived", "created_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_archived(self, judge: Judge) -> bool:
        return judge.archived_at is not None


class JudgeDetailSerializer(JudgeSerializer):
    version = serializers.SerializerMethodField(help_text="The newest version")

    class Meta(JudgeSerializer.Meta):
        fields = (*JudgeSerializer.Meta.fields, "version")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(JudgeVersionSerializer)
    def get_version(self, judge: Judge) -> Any:
        return JudgeVersionSerializer(self.context["version"]).data


class JudgeWriteSerializer(serializers.Serializer[Any]):
    """A judge or its next version; what is left out stays, or is as the rubric says."""

    rubric = serializers.CharField(required=False, help_text="The key of a ready-made rubric to start from")
    name = serializers.CharField(max_length=60, required=False)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True)
    kind = serializers.CharField(required=False, help_text="classify, score or compare")
    system_template = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    user_template = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    labels = LabelSerializer(many=True, required=False)
    minimum = serializers.FloatField(required=False, allow_null=True)
    maximum = serializers.FloatField(required=False, allow_null=True)
    threshold = serializers.FloatField(required=False, allow_null=True)
    integer = serializers.BooleanField(required=False)
    both_orders = serializers.BooleanField(required=False)
    repeats = serializers.IntegerField(required=False, min_value=1)
    parameters = serializers.DictField(required=False)
    aggregate = serializers.CharField(required=False, help_text="majority or mean")
    min_votes = serializers.IntegerField(required=False, min_value=1)
    note = serializers.CharField(max_length=300, required=False, allow_blank=True)
    model_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), required=False, max_length=50
    )


class RubricSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    kind = serializers.CharField()
    system_template = serializers.CharField()
    user_template = serializers.CharField()
    settings = serializers.DictField(source="fields", help_text="Labels, or range and threshold")


class PreviewSerializer(serializers.Serializer[Any]):
    """Sources of responses: `recorded:NAME`, `run:ID`, `reference` or `typed`."""

    dataset_version = serializers.IntegerField(min_value=1, max_value=2**63 - 1)
    source = serializers.CharField(default=TYPED)  # type: ignore[assignment]
    other = serializers.CharField(default=TYPED, help_text="Of response B")
    typed = serializers.CharField(default="", allow_blank=True, trim_whitespace=False)
    typed_other = serializers.CharField(default="", allow_blank=True, trim_whitespace=False)
    ask = serializers.BooleanField(default=False, help_text="Ask the judge's models now; this costs")


class ChatSerializer(serializers.Serializer[Any]):
    swapped = serializers.BooleanField()
    messages = serializers.ListField(child=serializers.DictField())
    problem = serializers.CharField(allow_blank=True)


class VerdictSerializer(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True)
    passed = serializers.BooleanField(allow_null=True)
    answer = serializers.CharField(allow_blank=True)
    feedback = serializers.CharField(allow_blank=True)
    flags = serializers.ListField(child=serializers.CharField())
    unscored = serializers.CharField(allow_blank=True, help_text="Why there is no verdict")


class PreviewedItemSerializer(serializers.Serializer[Any]):
    position = serializers.IntegerField()
    response = serializers.CharField(allow_null=True)
    chats = ChatSerializer(many=True)
    verdict = VerdictSerializer(allow_null=True)


class PreviewedSerializer(serializers.Serializer[Any]):
    items = PreviewedItemSerializer(many=True)
    notes = serializers.ListField(child=serializers.CharField())


class FalsePassRateSerializer(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()


class ControlCheckSerializer(serializers.ModelSerializer[ControlCheck]):
    version = serializers.IntegerField(source="version_id", read_only=True)
    going_on = serializers.BooleanField(source="is_going_on", read_only=True)
    rate = serializers.SerializerMethodField(help_text="False passes, with the Wilson 95% interval")
    cases = serializers.ListField(child=serializers.DictField(), read_only=True)

    class Meta:
        model = ControlCheck
        fields = (
            "id", "version", "going_on", "n", "false_passes", "unscored", "rate", "problem", "cases",
            "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(FalsePassRateSerializer(allow_null=True))
    def get_rate(self, check: ControlCheck) -> Any:
        return FalsePassRateSerializer(false_pass_rate(check)).data if check.n else None


class JudgeFilter(filters.FilterSet):  # type: ignore[misc]
    """Query parameters of the list."""

    archived = filters.BooleanFilter(method="only_archived", help_text="Only archived, or only in use")
    q = filters.CharFilter(field_name="name", lookup_expr="icontains", max_length=60)

    class Meta:
        model = Judge
        fields: ClassVar[list[str]] = []

    def only_archived(self, rows: QuerySet[Judge], name: str, value: bool) -> QuerySet[Judge]:
        return rows.filter(archived_at__isnull=not value)
