"""What every viewset of the API builds on, and the endpoint that says who is asking."""

from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from workspaces.access import Access
from workspaces.idempotency import idempotent
from workspaces.models import Role

__all__ = ["WhoAmI", "WorkspaceView", "WorkspaceViewSet", "idempotent"]


class WorkspaceView(APIView):
    """A view of one workspace, with the role that each action or method needs declared in `roles`.

    What is not declared is refused. OPTIONS is not offered: the schema tells more.
    """

    roles: ClassVar[dict[str, Role]]
    metadata_class = None

    @property
    def access(self) -> Access:
        """Proven by `DeclaredRole` before the action runs."""
        access: Access = cast(Any, self.request).access
        return access


class WorkspaceViewSet(WorkspaceView, GenericViewSet[Any]):
    """Objects of the asking workspace only; set `queryset`, `serializer_class` and `roles`.

    `workspace_path` is the lookup from the object to its workspace, such as `dataset__workspace`.
    """

    workspace_path = "workspace"
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[Any, Any]:
        rows: QuerySet[Any, Any] = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return rows.none()
        return rows.filter(**{self.workspace_path: self.access.workspace})


class WorkspaceSerializer(serializers.Serializer[Access]):
    """The asking workspace."""

    slug = serializers.CharField(source="workspace.slug")
    name = serializers.CharField(source="workspace.name")
    role = serializers.ChoiceField(choices=Role.choices, help_text="What this token or person may do at most")
    actor = serializers.CharField(source="actor_label", help_text="Email, or the token's name")


class WhoAmI(WorkspaceView):
    roles: ClassVar = {"get": Role.VIEWER}

    @extend_schema(operation_id="workspace_get", tags=["workspace"], responses=WorkspaceSerializer)
    def get(self, request: Request) -> Response:
        """Which workspace this token belongs to, and its role."""
        return Response(WorkspaceSerializer(self.access).data)
