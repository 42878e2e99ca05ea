"""The API of a run's figures over its trials: what its Metrics tab shows, by scorer, section and cluster."""

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from runs.api_serializers import EstimateSerializer
from runs.models import Run
from runs.selectors import runs_of
from runs.selectors_figures import Asked, Figure, cluster_keys
from runs.services.figures import run_figures
from workspaces.api import WorkspaceView
from workspaces.models import Role

SCORER = OpenApiParameter("scorer", str, description="A scorer or judge of the run; left out: the first")
CLUSTER = OpenApiParameter(
    "cluster",
    str,
    description="A metadata key: items with the same value vary together, which widens the intervals",
)
WAIT_S = 2


class CountedEstimateSerializer(EstimateSerializer):
    """With what n counts and how the interval was computed."""

    denominator = serializers.CharField(required=False)
    interval = serializers.CharField(required=False)


class RunFigureSerializer(serializers.Serializer[Any]):
    """One metric over all trials, and by section."""

    key = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    unit = serializers.ChoiceField(choices=["share", "value"])
    overall = CountedEstimateSerializer()
    sections = serializers.DictField(child=CountedEstimateSerializer())


class RunFiguresSerializer(serializers.Serializer[Any]):
    """The metrics that suit the run."""

    scorer = serializers.CharField()
    cluster = serializers.CharField(allow_blank=True)
    cluster_keys = serializers.ListField(child=serializers.CharField(), help_text="That may be asked for")
    trials = serializers.IntegerField()
    weights = serializers.CharField(allow_blank=True, help_text="How items' weights are used, if any")
    metrics = RunFigureSerializer(many=True)


class RunFiguresView(WorkspaceView):
    """Computed at once for a small run, by a worker for a large one."""

    roles: ClassVar = {"read": Role.VIEWER}

    @extend_schema(
        tags=["runs"],
        summary="Every metric over the run's trials, clustered by a metadata key if one is chosen",
        parameters=[SCORER, CLUSTER],
        responses={
            200: RunFiguresSerializer,
            202: OpenApiResponse(description="A worker computes them"),
        },
    )
    def get(self, request: Request, run_id: int) -> Response:
        run = get_object_or_404(runs_of(self.access.workspace), pk=run_id)
        keys = cluster_keys(run)
        asked = _asked(request, run, keys)
        found = run_figures(run, asked) if asked.scorer else None
        if found is None and asked.scorer:
            return Response(status=202, headers={"Retry-After": str(WAIT_S)})
        return Response(
            {
                "scorer": asked.scorer,
                "cluster": asked.cluster,
                "cluster_keys": keys,
                "trials": found.trials if found else 0,
                "weights": found.weights if found else "",
                "metrics": [_as_dict(row) for row in found.rows] if found else [],
            }
        )


def _asked(request: Request, run: Run, keys: list[str]) -> Asked:
    """Raises ValidationError for what the run does not have."""
    names = run.scorer_names
    scorer, cluster = request.query_params.get("scorer", ""), request.query_params.get("cluster", "")
    problems = {}
    if scorer and scorer not in names:
        problems["scorer"] = [f"One of {', '.join(names) or 'none'}."]
    if cluster and cluster not in keys:
        problems["cluster"] = [f"One of {', '.join(keys) or 'none'}."]
    if problems:
        raise ValidationError(problems)
    return Asked(scorer or next(iter(names), ""), cluster)


def _as_dict(row: Figure) -> dict[str, Any]:
    return {
        "key": row.key,
        "title": row.title,
        "description": row.description,
        "unit": row.unit,
        "overall": row.estimate.as_dict(),
        "sections": {name: estimate.as_dict() for name, estimate in row.sections.items()},
    }
