"""The API of comparisons: the figures of the page, and the comparisons that were saved."""

from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from analysis.asking import asked
from analysis.comparison import NotComparable, RunsMissing
from analysis.exports import figures_json
from analysis.figures import figures_of
from analysis.selectors import saved_of
from workspaces.api import WorkspaceView
from workspaces.models import Role

PARAMETERS = [
    OpenApiParameter("runs", str, description="Two to eight run ids: `runs=5,6,7`"),
    OpenApiParameter("baseline", int, description="A run of these; else the first"),
    OpenApiParameter("against", int, description="The run of the verdict; else the first that is not it"),
    OpenApiParameter("scorer", str, description="A scorer or judge that every run has; else the first"),
    OpenApiParameter("values", str, enum=["mean"], description="Compare values instead of passes"),
    OpenApiParameter("group", str, enum=["alias", "label", "model"]),
]


class ComparisonView(WorkspaceView):
    roles: ClassVar = {"get": Role.VIEWER}

    @extend_schema(
        operation_id="comparison_get",
        tags=["comparisons"],
        summary="How runs differ, with intervals and p; without `runs`, the saved comparisons",
        parameters=PARAMETERS,
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Shares are 0 to 1, differences −1 to 1, latencies in ms, money text. Only common items count."""
        wanted = asked(request.query_params)
        if not wanted.runs:
            return Response({"saved": [self._saved(each) for each in saved_of(self.access.workspace)]})
        try:
            return Response(figures_json(figures_of(self.access.workspace, wanted)))
        except RunsMissing as missing:
            raise Http404(str(missing)) from missing
        except NotComparable as problem:
            raise ValidationError({"runs": [str(problem)]}) from problem

    def _saved(self, each: Any) -> dict[str, Any]:
        found = {"id": each.pk, "name": each.name, "query": each.query, "created_at": each.created_at}
        return {**found, "page": f"/w/{self.access.workspace.slug}/compare/{each.query}"}
