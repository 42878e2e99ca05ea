"""The webhook in the API: its address for owners, its deliveries for editors. The secret is shown once."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from webhooks import services
from webhooks.models import Delivery, Webhook
from webhooks.selectors import webhook_of
from workspaces.api import WorkspaceView, WorkspaceViewSet
from workspaces.models import Role
from workspaces.services import Refused


class WebhookSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=500)
    sends_link = serializers.BooleanField(default=False, help_text="A link to the file instead of its lines")
    secret = serializers.SerializerMethodField(help_text="Where a new one was made: this once. Else empty")

    def get_secret(self, webhook: Any) -> str:
        return str(self.context.get("secret", ""))


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One push, and how it stands."""

    class Meta:
        model = Delivery
        fields: ClassVar = [
            "id", "event", "subject", "filename", "size_bytes", "sha256", "state", "attempts", "next_at",
            "status_code", "problem", "created_at", "ended_at",
        ]  # fmt: skip
        read_only_fields = fields


@extend_schema(tags=["webhook"])
class WebhookView(WorkspaceView):
    roles: ClassVar = {"read": Role.OWNER, "write": Role.OWNER}

    @extend_schema(summary="Where the workspace pushes to", responses=WebhookSerializer)
    def get(self, request: Request) -> Response:
        return Response(WebhookSerializer(self.webhook()).data)

    @extend_schema(
        summary="Set where the workspace pushes to",
        request=WebhookSerializer,
        responses=WebhookSerializer,
        description="Another host gets another secret, which the answer shows this once.",
    )
    def put(self, request: Request) -> Response:
        form = WebhookSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sent = form.validated_data
        try:
            secret = services.webhook_save(self.access, url=sent["url"], sends_link=sent["sends_link"])
        except Refused as error:
            raise ValidationError({"url": str(error)}) from error
        return Response(WebhookSerializer(self.webhook(), context={"secret": secret}).data)

    @extend_schema(summary="Remove the webhook", responses={204: None})
    def delete(self, request: Request) -> Response:
        self.webhook()
        services.webhook_remove(self.access)
        return Response(status=204)

    def webhook(self) -> Webhook:
        found = webhook_of(self.access.workspace)
        if found is None:
            raise NotFound("No webhook is set.")
        return found


@extend_schema(tags=["webhook"])
class DeliveryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViewSet):
    """What was pushed to the webhook, newest first."""

    roles: ClassVar = {"read": Role.EDITOR}
    queryset = Delivery.objects.all()
    serializer_class = DeliverySerializer
    workspace_path = "webhook__workspace"
