"""The filters of the API's lists of runs and trials."""

from typing import ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from runs.models import Run, RunStatus, Trial, TrialState

LARGEST_ID = 2**63 - 1


class RunFilter(filters.FilterSet):  # type: ignore[misc]
    status = filters.MultipleChoiceFilter(choices=RunStatus.choices)
    alias = filters.CharFilter(help_text="Exactly")
    label = filters.CharFilter(help_text="Exactly")
    dataset = filters.NumberFilter(
        "dataset_version__dataset_id",
        min_value=0,
        max_value=LARGEST_ID,
        help_text="Id of the dataset, any version",
    )
    model = filters.NumberFilter(
        "model_id", min_value=0, max_value=LARGEST_ID, help_text="Id of the registered model"
    )
    evaluation = filters.NumberFilter("evaluation_id", min_value=0, max_value=LARGEST_ID)

    class Meta:
        model = Run
        fields: ClassVar[list[str]] = []


class TrialListFilter(filters.FilterSet):  # type: ignore[misc]
    state = filters.MultipleChoiceFilter(choices=TrialState.choices)
    passed = filters.BooleanFilter(method="with_verdict", help_text="The first scorer's verdict")
    section = filters.CharFilter(help_text="Exactly")

    class Meta:
        model = Trial
        fields: ClassVar[list[str]] = []

    def with_verdict(self, trials: QuerySet[Trial], name: str, passed: bool) -> QuerySet[Trial]:
        """Only done trials have one, and only they are in its index."""
        return trials.filter(state=TrialState.DONE, passed__in=[passed])
