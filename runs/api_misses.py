"""What a run missed, in the API: as chats to fine-tune on, as a new dataset, or pushed to the webhook."""

from dataclasses import fields
from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from evalportal.lib.streaming import download
from runs.models import Run
from runs.selectors import VERDICTS, TrialFilter, runs_of
from runs.services import misses as services
from runs.variations import MAX_VARIANTS
from workspaces.api import WorkspaceView
from workspaces.models import Role
from workspaces.services import Refused


class MissesFilterSerializer(serializers.Serializer[Any]):
    """Which items: as the item list is filtered."""

    verdict = serializers.ChoiceField(choices=[*VERDICTS], default="", help_text="Empty: incorrect")
    by = serializers.CharField(max_length=80, default="", help_text="A scorer or judge; empty: the first")
    section = serializers.CharField(max_length=120, default=None, allow_null=True)
    q = serializers.CharField(max_length=200, default="", help_text="Words of the prompt or response")
    flips = serializers.BooleanField(
        default=False, help_text="Only items that were right in one trial and wrong in another"
    )
    variant = serializers.IntegerField(
        default=None, allow_null=True, min_value=0, max_value=MAX_VARIANTS, help_text="0 is the original"
    )

    def wanted(self) -> TrialFilter:
        sent = self.validated_data
        return TrialFilter(**{field.name: sent[field.name] for field in fields(TrialFilter)})


class CarryOnSerializer(MissesFilterSerializer):
    to = serializers.ChoiceField(choices=["dataset", "webhook"])
    name = serializers.CharField(max_length=120, default="", help_text="Of the new dataset")


class MissesSerializer(serializers.Serializer[Any]):
    items = serializers.IntegerField()
    without_reference = serializers.IntegerField(help_text="Left out of the chats")
    provenance = serializers.JSONField(help_text="Where they come from, with the warning")


class CarriedOnSerializer(serializers.Serializer[Any]):
    version_id = serializers.IntegerField(allow_null=True, help_text="Of the new dataset")
    delivery_id = serializers.IntegerField(allow_null=True, help_text="See /webhook/deliveries")


class OfMisses(WorkspaceView):
    roles: ClassVar = {"read": Role.EDITOR, "write": Role.EDITOR}

    def asked(self, request: Request, run_id: int) -> tuple[Run, TrialFilter]:
        run = get_object_or_404(runs_of(self.access.workspace), pk=run_id)
        form = MissesFilterSerializer(data=request.query_params)
        form.is_valid(raise_exception=True)
        return run, form.wanted()


@extend_schema(tags=["runs"])
class MissesView(OfMisses):
    @extend_schema(
        summary="What the run missed", parameters=[MissesFilterSerializer], responses=MissesSerializer
    )
    def get(self, request: Request, run_id: int) -> Response:
        run, wanted = self.asked(request, run_id)
        items = services.missed_items(run, wanted)
        count = items.count()
        told = {
            "items": count,
            "without_reference": items.filter(references=[]).count(),
            "provenance": services.provenance_file(run, wanted, count),
        }
        return Response(MissesSerializer(told).data)

    @extend_schema(
        summary="Carry on with what the run missed",
        request=CarryOnSerializer,
        responses={201: CarriedOnSerializer},
    )
    def post(self, request: Request, run_id: int) -> Response:
        run = get_object_or_404(runs_of(self.access.workspace), pk=run_id)
        form = CarryOnSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        wanted, sent = form.wanted(), form.validated_data
        made: dict[str, Any] = {"version_id": None, "delivery_id": None}
        try:
            if sent["to"] == "dataset":
                made["version_id"] = services.misses_register(self.access, run, wanted, name=sent["name"]).pk
            else:
                base_url = request.build_absolute_uri("/")
                made["delivery_id"] = services.misses_push(self.access, run, wanted, base_url=base_url).pk
        except Refused as error:
            raise ValidationError({"to": str(error)}) from error
        return Response(CarriedOnSerializer(made).data, status=201)


@extend_schema(tags=["runs"])
class MissesChatView(OfMisses):
    @extend_schema(
        summary="What the run missed, as chats to fine-tune on",
        parameters=[MissesFilterSerializer],
        responses={(200, services.CHAT_TYPE): OpenApiTypes.STR},
    )
    def get(self, request: Request, run_id: int) -> HttpResponseBase:
        run, wanted = self.asked(request, run_id)
        items = services.missed_items(run, wanted)
        services.misses_noted(self.access, run, items.count())
        lines = services.chat_lines(run, items)
        filename = services.chat_name(run)
        return download(request._request, lines, filename=filename, content_type=services.CHAT_TYPE)
