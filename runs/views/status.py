"""The status page of site staff, its self-updating figures, and the same for a monitoring system."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from evalportal.lib.exposition import CONTENT_TYPE
from runs import prometheus, selectors_status
from runs.concerns import concerns_of
from runs.engine.clock import now_ms
from workspaces import access


def shown(request: HttpRequest, template: str) -> HttpResponse:
    status = selectors_status.read(now_ms())
    return render(request, template, {"status": status, "concerns": concerns_of(status)})


@access.staff
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return shown(request, "runs/status.html")


@access.staff
@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """The page's fragments again; htmx swaps those that changed by id."""
    return shown(request, "runs/_status.html")


@access.monitor
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    status = selectors_status.read(now_ms())
    text = prometheus.exposition(status, selectors_status.attempts_ever())
    return HttpResponse(text, content_type=CONTENT_TYPE)
