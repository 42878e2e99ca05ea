"""Shapes of the API of people's labels."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from analysis.models import HumanLabel
from analysis.selectors_review import LARGEST_SAMPLE

LARGEST_ID = 2**63 - 1


class LabelFilter(filters.FilterSet):  # type: ignore[misc]
    """Query parameters of lists and files."""

    judge = filters.NumberFilter(
        "judge_id", min_value=0, max_value=LARGEST_ID, help_text="Id of the judge, any version"
    )
    run = filters.NumberFilter("run_id", min_value=0, max_value=LARGEST_ID)
    person = filters.CharFilter(method="of_person", help_text="Email of who labelled")

    class Meta:
        model = HumanLabel
        fields: ClassVar[list[str]] = []

    def of_person(self, rows: QuerySet[HumanLabel], name: str, value: str) -> QuerySet[HumanLabel]:
        return rows.filter(person__email__iexact=value)


class PeopleLabelSerializer(serializers.Serializer[Any]):
    """A label, its response, and what the judge said of it unless that is withheld."""

    id = serializers.IntegerField()
    judge = serializers.CharField(help_text="Its name")
    judge_id = serializers.IntegerField()
    judge_version = serializers.IntegerField(allow_null=True, help_text="Number of the version that judged")
    run_id = serializers.IntegerField()
    run = serializers.CharField(help_text="Its alias")
    opponent_run_id = serializers.IntegerField(allow_null=True, help_text="Of a judge that compares")
    seq = serializers.IntegerField(help_text="The trial's number within the run")
    epoch = serializers.IntegerField()
    item_id = serializers.CharField(help_text="As the dataset's file names it")
    section = serializers.CharField()
    prompt = serializers.CharField()
    response = serializers.CharField()
    person = serializers.CharField(help_text="Email; empty once they are gone")
    at = serializers.DateTimeField()
    answer = serializers.CharField(help_text="A label, a number, or A, B or tie")
    value = serializers.FloatField()
    passed = serializers.BooleanField(allow_null=True)
    comment = serializers.CharField()
    blind = serializers.BooleanField(help_text="Whether the judge's verdict is withheld")
    judge_answer = serializers.CharField(allow_null=True)
    judge_value = serializers.FloatField(allow_null=True)
    judge_passed = serializers.BooleanField(allow_null=True)
    judge_feedback = serializers.CharField(allow_null=True)
    judge_unscored = serializers.CharField(allow_null=True, help_text="Why it has no verdict")


class LabelWriteSerializer(serializers.Serializer[Any]):
    """What you say of one response, in the judge's own terms."""

    judge_id = serializers.IntegerField(min_value=1, max_value=LARGEST_ID)
    run_id = serializers.IntegerField(min_value=1, max_value=LARGEST_ID)
    seq = serializers.IntegerField(min_value=1, max_value=LARGEST_ID, help_text="The trial's number")
    answer = serializers.CharField(max_length=200)
    comment = serializers.CharField(max_length=2000, default="", allow_blank=True)


class SampleSerializer(serializers.Serializer[Any]):
    """A random sample; the seed and `after`, the newest label at the draw, make it the same every time."""

    id = serializers.IntegerField()
    judge_id = serializers.IntegerField()
    judge = serializers.CharField()
    run_id = serializers.IntegerField()
    size = serializers.IntegerField()
    seed = serializers.IntegerField()
    after = serializers.IntegerField()
    labelled = serializers.IntegerField(help_text="By its assignee, else by anyone")
    assignee = serializers.CharField(help_text="Email; empty is anyone")
    created_at = serializers.DateTimeField()


class SampleWriteSerializer(serializers.Serializer[Any]):
    judge_id = serializers.IntegerField(min_value=1, max_value=LARGEST_ID)
    run_id = serializers.IntegerField(min_value=1, max_value=LARGEST_ID)
    size = serializers.IntegerField(default=50, min_value=1, max_value=LARGEST_SAMPLE)
    assignee = serializers.CharField(default="", allow_blank=True, help_text="Email of a member")


class AnswerSerializer(serializers.Serializer[Any]):
    answer = serializers.CharField(help_text="To be sent")
    words = serializers.CharField(help_text="To be shown")


class ResponseToLabelSerializer(serializers.Serializer[Any]):
    """One response of a sample, or two of a comparison, first the one to be shown first."""

    seq = serializers.IntegerField()
    item_id = serializers.CharField()
    prompt = serializers.CharField()
    references = serializers.ListField(child=serializers.CharField())
    responses = serializers.ListField(child=serializers.CharField(allow_blank=True))
    answers = AnswerSerializer(many=True, help_text="Empty where any number of the judge's range may be said")
    own = serializers.CharField(help_text="Your label, or empty")


class SampleDetailSerializer(SampleSerializer):
    responses = ResponseToLabelSerializer(many=True)
