"""What the API says of benchmarks, and what it takes to make one. Shapes, no rules."""

from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from benchmarks.exports import Plain, scores_document
from benchmarks.models import Benchmark, BenchmarkEvaluation, BenchmarkPart, Measure, Phase
from benchmarks.selectors import scored
from benchmarks.wish import BenchmarkWish, PartWish, PhaseWish
from runs.api_serializers import LARGEST_ID, ScorerChoiceSerializer


class PartSerializer(serializers.Serializer[Any]):
    """One dataset version with prompt, scoring and weight."""

    version_id = serializers.IntegerField(max_value=LARGEST_ID)
    scorers = ScorerChoiceSerializer(many=True, required=False)
    judge_ids = serializers.ListField(child=serializers.IntegerField(max_value=LARGEST_ID), required=False)
    subset_id = serializers.IntegerField(
        required=False, allow_null=True, max_value=LARGEST_ID, help_text="A saved subset of the dataset"
    )
    sections = serializers.ListField(child=serializers.CharField(), required=False)
    limit = serializers.IntegerField(required=False, allow_null=True)
    template = serializers.CharField(required=False, trim_whitespace=False)
    params = serializers.DictField(required=False)
    primary = serializers.CharField(required=False, help_text="The scorer or judge that counts, by name")
    measure = serializers.ChoiceField(choices=Measure.choices, required=False)
    weight = serializers.FloatField(required=False)

    def to_representation(self, instance: BenchmarkPart) -> Plain:
        return {
            "dataset": instance.version.dataset.name,
            "version_id": instance.version_id,
            "scorers": instance.scorers,
            "judge_ids": [judge.pk for judge in instance.judges.all()],
            "subset_id": instance.subset.get("id"),
            "sections": instance.sections,
            "limit": instance.limit,
            "template": instance.template,
            "params": instance.params,
            "primary": instance.primary,
            "measure": instance.measure,
            "weight": instance.weight,
        }


class PhaseSerializer(serializers.Serializer[Any]):
    """One phase; `id` of one that is there already."""

    id = serializers.IntegerField(required=False, allow_null=True, max_value=LARGEST_ID)
    name = serializers.CharField(max_length=80)
    starts_at = serializers.DateTimeField(required=False, allow_null=True)
    ends_at = serializers.DateTimeField(required=False, allow_null=True)
    sections = serializers.ListField(child=serializers.CharField(), required=False)
    limit = serializers.IntegerField(required=False, allow_null=True)
    most_runs = serializers.IntegerField(required=False, allow_null=True)
    most_per = serializers.ChoiceField(choices=Phase.Per.choices, required=False)
    state = serializers.CharField(read_only=True, help_text="previous, current or next")


class BenchmarkSerializer(serializers.ModelSerializer[Benchmark]):
    """A benchmark with its parts and phases."""

    parts = PartSerializer(many=True)
    phases = PhaseSerializer(many=True, required=False)
    slug = serializers.SlugField(required=False, max_length=50)
    owner = serializers.SerializerMethodField()
    archived = serializers.SerializerMethodField()

    class Meta:
        model = Benchmark
        fields: ClassVar = [
            "id",
            "name",
            "slug",
            "summary",
            "owner",
            "archived",
            "parts",
            "phases",
            "created_at",
        ]
        validators: ClassVar[list[Any]] = []

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_owner(self, benchmark: Benchmark) -> str | None:
        return benchmark.owner.email if benchmark.owner else None

    @extend_schema_field(serializers.BooleanField())
    def get_archived(self, benchmark: Benchmark) -> bool:
        return benchmark.archived_at is not None

    def wish(self) -> BenchmarkWish:
        """After `is_valid`."""
        given = cast(Plain, self.validated_data)
        return BenchmarkWish(
            name=given["name"],
            summary=given.get("summary", ""),
            slug=given.get("slug", ""),
            parts=[PartWish(**part) for part in given["parts"]],
            phases=[PhaseWish(**phase) for phase in given.get("phases", [])],
        )


class BenchmarkEvaluationSerializer(serializers.ModelSerializer[BenchmarkEvaluation]):
    """One model on one benchmark: its overall score on 0–100 and each part's, with intervals and n."""

    class Meta:
        model = BenchmarkEvaluation
        fields: ClassVar = ["id"]

    def to_representation(self, instance: BenchmarkEvaluation) -> Plain:
        told = scores_document(scored(instance))
        return {"id": told.pop("evaluation"), "baseline": instance.is_baseline, **told}


class EvaluateSerializer(serializers.Serializer[Any]):
    """Which model, in which phase; without a phase, the current one."""

    model_id = serializers.IntegerField(required=False, allow_null=True, max_value=LARGEST_ID)
    recorded_name = serializers.CharField(required=False, max_length=200, help_text="Its recorded responses")
    phase_id = serializers.IntegerField(required=False, allow_null=True, max_value=LARGEST_ID)
    is_baseline = serializers.BooleanField(required=False)


class GateSerializer(serializers.Serializer[Any]):
    """A rule with its options."""

    rule = serializers.CharField(max_length=40, help_text="not_worse, judge_certified or triaged")
    options = serializers.DictField(required=False)


class BundleSerializer(serializers.Serializer[Any]):
    """A bundle as a file."""

    file = serializers.FileField()
    name = serializers.CharField(required=False, max_length=120)
