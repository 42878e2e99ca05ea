"""What the API says of evaluations, runs and trials, and what it takes to launch. Shapes, no rules."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from judges.models import JudgeVersion
from judges.scorers import SCORERS
from runs.metrics import metrics_json, primary_estimate, section_rows
from runs.models import Attempt, Evaluation, Run, RunStatus, Score, Trial, TrialState
from runs.services import Launch
from runs.variations import STRATEGIES
from runs.waits import held_until, retry_at

Plain = dict[str, Any]
LARGEST_ID = 2**63 - 1


class EstimateSerializer(serializers.Serializer[Any]):
    """A figure with its 95% interval; null where there is no data, or too little for a bound."""

    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()
    correct = serializers.IntegerField(required=False, help_text="Where the figure is a proportion")


@extend_schema_field(
    {"oneOf": [{"type": "number"}, {"type": "string", "format": "decimal"}], "nullable": True}
)
class FigureField(serializers.Field[Any, Any, Any, Any]):
    """A number; money is a decimal in a string."""


class MetricSerializer(serializers.Serializer[Any]):
    """One figure over the trials of a run."""

    value = FigureField()
    low = serializers.FloatField(required=False, help_text="Of the 95% interval")
    high = serializers.FloatField(required=False)
    n = serializers.IntegerField(required=False, help_text="Trials that the figure is over")
    correct = serializers.IntegerField(required=False)
    unit = serializers.ChoiceField(choices=["share", "value", "ms", "tokens", "usd", "s"])
    note = serializers.CharField(required=False)


class SectionSerializer(serializers.Serializer[Any]):
    """The first scorer over one section of the dataset."""

    section = serializers.CharField()
    accuracy = EstimateSerializer(allow_null=True)
    n = serializers.IntegerField()
    unscored = serializers.IntegerField()
    latency_p50_ms = serializers.FloatField(allow_null=True)


class RunModelSerializer(serializers.Serializer[Any]):
    """The target model as it was at launch; `id` is null once it was deleted."""

    id = serializers.IntegerField(allow_null=True)
    name = serializers.CharField()
    provider = serializers.CharField(allow_blank=True)


class RunDatasetSerializer(serializers.Serializer[Any]):
    """The dataset version that the run is on."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    version_id = serializers.IntegerField()


class RunSerializer(serializers.ModelSerializer[Run]):
    """A run with its counters and primary figure."""

    status = serializers.ChoiceField(choices=RunStatus.choices)
    model = serializers.SerializerMethodField()
    dataset = serializers.SerializerMethodField()
    evaluation = serializers.IntegerField(source="evaluation_id")
    accuracy = serializers.SerializerMethodField()
    held_until = serializers.SerializerMethodField(
        help_text="No call goes out before then; `held_reason` says why"
    )

    class Meta:
        model = Run
        fields: ClassVar = [
            "id", "evaluation", "status", "status_reason", "alias", "label", "model", "dataset", "total",
            "done", "errored", "canceled", "retried", "cached", "accuracy", "cost", "input_tokens",
            "output_tokens", "usage_estimated", "cost_ceiling", "token_ceiling", "held_until", "held_reason",
            "created_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(RunModelSerializer)
    def get_model(self, run: Run) -> Plain:
        frozen = run.config.get("model", {})
        return {"id": run.model_id, "name": frozen.get("name", ""), "provider": frozen.get("provider", "")}

    @extend_schema_field(RunDatasetSerializer)
    def get_dataset(self, run: Run) -> Plain:
        version = run.dataset_version
        return {
            "id": version.dataset_id,
            "name": version.dataset.name,
            "version": version.number,
            "version_id": version.pk,
        }

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_held_until(self, run: Run) -> datetime | None:
        return held_until(run)

    @extend_schema_field(EstimateSerializer(allow_null=True))
    def get_accuracy(self, run: Run) -> Plain | None:
        estimate = primary_estimate(run, run.tallies.all())
        return estimate.as_dict() if estimate else None


class JudgingSerializer(serializers.ModelSerializer[Run]):
    """A judge model that is asked about a run's responses: a run of its own, with calls, cost and errors."""

    judge = serializers.CharField(source="scorer", help_text="The name that its scores have")
    status = serializers.ChoiceField(choices=RunStatus.choices)
    opponent = serializers.IntegerField(source="opponent_id", allow_null=True)

    class Meta:
        model = Run
        fields: ClassVar = [
            "id", "judge", "panel", "opponent", "alias", "status", "status_reason", "passes", "total", "done",
            "errored", "canceled", "cost", "input_tokens", "output_tokens",
        ]  # fmt: skip
        read_only_fields = fields


class RunDetailSerializer(RunSerializer):
    """A run with its frozen configuration, every metric and the sections."""

    judgings = JudgingSerializer(many=True, read_only=True)
    metrics = serializers.SerializerMethodField()
    sections = serializers.SerializerMethodField()

    class Meta(RunSerializer.Meta):
        fields: ClassVar = [*RunSerializer.Meta.fields, "judged", "judgings", "metrics", "sections", "config"]
        read_only_fields = fields

    @extend_schema_field(serializers.DictField(child=MetricSerializer()))
    def get_metrics(self, run: Run) -> Plain:
        return metrics_json(run)

    @extend_schema_field(SectionSerializer(many=True))
    def get_sections(self, run: Run) -> list[Plain]:
        return [
            {
                "section": row.name,
                "accuracy": row.estimate.as_dict() if row.estimate else None,
                "n": row.n,
                "unscored": row.unscored,
                "latency_p50_ms": row.p50_ms,
            }
            for row in section_rows(run, run.tallies.all())
        ]


class EvaluationSerializer(serializers.ModelSerializer[Evaluation]):
    """One launch with its runs."""

    created_by = serializers.SerializerMethodField()
    runs = RunSerializer(many=True)

    class Meta:
        model = Evaluation
        fields: ClassVar = ["id", "name", "created_by", "created_at", "runs"]
        read_only_fields = fields

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_created_by(self, evaluation: Evaluation) -> str | None:
        return evaluation.created_by.email if evaluation.created_by else None


class LaunchedSerializer(serializers.Serializer[Any]):
    """What a launch made; the runs wait for a worker."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    runs = serializers.ListField(child=serializers.IntegerField(), help_text="Ids of the runs, one per model")


class ScorerChoiceSerializer(serializers.Serializer[Any]):
    """One scorer with its options."""

    key = serializers.CharField(help_text=f"One of {', '.join(SCORERS)}")
    name = serializers.CharField(required=False, help_text="If a scorer is used twice; default: the key")
    options = serializers.DictField(required=False, help_text="By name; what is left out has its default")


class VariationSerializer(serializers.Serializer[Any]):
    """One way to ask each item otherwise."""

    key = serializers.CharField(help_text=f"One of {', '.join(STRATEGIES)}")
    options = serializers.DictField(required=False, help_text="By name; what is left out has its default")


class LaunchSerializer(serializers.Serializer[Any]):
    """What is to be launched."""

    dataset_version_id = serializers.IntegerField(max_value=LARGEST_ID)
    model_ids = serializers.ListField(child=serializers.IntegerField(max_value=LARGEST_ID), required=False)
    recorded_names = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Models whose recorded responses are scored, or (by_hand) whose answers people fill in",
    )
    responses = serializers.ChoiceField(choices=["fresh", "recorded", "by_hand"], default="fresh")
    scorers = ScorerChoiceSerializer(
        many=True, default=list, help_text="The first one gives the run's accuracy; without any, a judge"
    )
    judges = serializers.ListField(
        child=serializers.JSONField(), default=list, max_length=50,
        help_text="Asked about each run's responses: ids of versions, or names of judges",
    )  # fmt: skip
    opponent_run_id = serializers.IntegerField(
        required=False, allow_null=True, max_value=LARGEST_ID,
        help_text="Whose responses judges compare with; default: those of the first model",
    )  # fmt: skip
    opponent_recorded = serializers.CharField(
        required=False, allow_blank=True, help_text="The same, of the version's recorded responses"
    )
    template = serializers.CharField(
        required=False, trim_whitespace=False, help_text="Jinja2; default: the input as it is"
    )
    params = serializers.DictField(
        required=False, help_text="temperature, top_p, max_tokens, stop, seed, extra_body"
    )
    name = serializers.CharField(required=False, allow_blank=True, max_length=200)
    alias = serializers.CharField(required=False, allow_blank=True, max_length=120)
    label = serializers.CharField(required=False, allow_blank=True, max_length=120)  # type: ignore[assignment]
    epochs = serializers.IntegerField(required=False)
    variations = VariationSerializer(
        many=True, required=False, help_text="Each item is asked as it is, and once more for each variant"
    )
    concurrency = serializers.IntegerField(required=False, allow_null=True)
    max_failures = serializers.IntegerField(
        required=False, help_text="Failed calls per trial before it is errored"
    )
    limit = serializers.IntegerField(required=False, allow_null=True, help_text="Only the first items")
    subset_id = serializers.IntegerField(
        required=False, allow_null=True, max_value=LARGEST_ID, help_text="Only a saved part of the dataset"
    )
    cost_ceiling = serializers.DecimalField(
        14, 4, required=False, allow_null=True,
        help_text="Dollars of each run, which pauses before it is passed; needs known prices",
    )  # fmt: skip
    token_ceiling = serializers.IntegerField(
        required=False, allow_null=True, help_text="Input and output tokens of each run, in the same way"
    )
    cache = serializers.BooleanField(
        default=False, help_text="Reuse answers of this workspace to the identical request"
    )

    def judges_wanted(self) -> list[Any]:
        """After `is_valid`: ids of versions and names of judges."""
        wanted: list[Any] = cast(Plain, self.validated_data)["judges"]
        return wanted

    def wish(self, judges: Sequence[JudgeVersion] = ()) -> Launch:
        """After `is_valid`, with the judges that were found."""
        return Launch(**cast(Plain, self.validated_data) | {"judges": judges})


class CeilingsSerializer(serializers.Serializer[Any]):
    """Ceilings of a run that waits. One that is left out stays; null removes it."""

    cost_ceiling = serializers.DecimalField(14, 4, required=False, allow_null=True)
    token_ceiling = serializers.IntegerField(required=False, allow_null=True)
    resume = serializers.BooleanField(default=True, help_text="Let a paused run go on")

    def ceilings(self, run: Run) -> Plain:
        """After `is_valid`: both, for the service."""
        given = cast(Plain, self.validated_data)
        return {
            "cost": given.get("cost_ceiling", run.cost_ceiling),
            "tokens": given.get("token_ceiling", run.token_ceiling),
            "resume": given["resume"],
        }


class RetriedSerializer(serializers.Serializer[Any]):
    """How many trials are asked again."""

    retried = serializers.IntegerField()


class ScoreSerializer(serializers.ModelSerializer[Score]):
    """One scorer's verdict: a value, or the reason why there is none."""

    class Meta:
        model = Score
        fields: ClassVar = ["scorer", "value", "passed", "answer", "explanation", "unscored_reason", "detail"]
        read_only_fields = fields


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One call that was made for a trial."""

    class Meta:
        model = Attempt
        fields: ClassVar = [
            "number", "outcome", "status_code", "error", "retry_after_ms", "wait_ms", "latency_ms",
            "input_tokens", "output_tokens", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class FailedAttemptSerializer(AttemptSerializer):
    """A call that brought no answer, with the trial it was made for."""

    seq = serializers.IntegerField(help_text="The trial's number")
    item_id = serializers.CharField(source="item", help_text="As the dataset's file names it")

    class Meta(AttemptSerializer.Meta):
        fields: ClassVar = ["id", "seq", "item_id", *AttemptSerializer.Meta.fields]
        read_only_fields = fields


class TrialSerializer(serializers.ModelSerializer[Trial]):
    """A trial with its item's question, response and scores."""

    state = serializers.ChoiceField(choices=TrialState.choices)
    item_id = serializers.CharField(source="item.external_id", help_text="As the dataset's file names it")
    prompt = serializers.CharField(source="item.prompt")
    references = serializers.ListField(child=serializers.CharField(), source="item.references")
    scores = ScoreSerializer(many=True)
    attempt_count = serializers.IntegerField()
    variant = serializers.SerializerMethodField(help_text="0 is the original")
    variation = serializers.SerializerMethodField(help_text="The variant's title")
    epoch = serializers.SerializerMethodField(help_text="Within its variant, from 1")
    retry_at = serializers.SerializerMethodField(help_text="When a waiting trial is asked again")
    crashes = serializers.IntegerField(help_text="How often its worker was lost meanwhile")

    class Meta:
        model = Trial
        fields: ClassVar = [
            "seq", "variant", "variation", "epoch", "section", "state", "item_id", "prompt", "references",
            "response", "finish_reason", "answer", "passed", "scores", "cached", "latency_ms",
            "first_token_ms", "input_tokens", "output_tokens", "cost", "attempt_count", "crashes", "retry_at",
            "error_kind", "error", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_variant(self, trial: Trial) -> int:
        return trial.run.variants.place(trial.epoch)

    def get_variation(self, trial: Trial) -> str:
        return trial.run.variants.titles[self.get_variant(trial)]

    def get_epoch(self, trial: Trial) -> int:
        return trial.epoch if trial.run.judged_id else trial.run.variants.epoch(trial.epoch)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_retry_at(self, trial: Trial) -> datetime | None:
        return retry_at(trial)


class TrialDetailSerializer(TrialSerializer):
    """A trial with everything of its item and every attempt."""

    messages = serializers.JSONField(source="item.messages", allow_null=True)
    choices = serializers.ListField(child=serializers.CharField(), source="item.choices")
    metadata = serializers.DictField(source="item.metadata")
    attempts = AttemptSerializer(many=True)

    class Meta(TrialSerializer.Meta):
        fields: ClassVar = [*TrialSerializer.Meta.fields, "messages", "choices", "metadata", "attempts"]
        read_only_fields = fields
