"""The webhook in a workspace's settings, its deliveries, and the link by which a file is fetched."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from evalportal.lib.streaming import download
from webhooks import selectors, services
from webhooks.models import Delivery
from webhooks.sending import MEDIA_TYPE, delivery_behind
from workspaces import access
from workspaces.access import WorkspaceRequest
from workspaces.models import Role
from workspaces.services import Refused


def show(request: WorkspaceRequest, *, secret: str = "", problem: str = "") -> HttpResponse:
    """The page; right after a secret was made also the secret, this once."""
    workspace = request.access.workspace
    context = {
        "webhook": selectors.webhook_of(workspace),
        "deliveries": selectors.deliveries_of(workspace)[: selectors.SHOWN],
        "secret": secret,
        "problem": problem,
        "typed": request.POST,
    }
    response = render(request, "webhooks/page.html", context, status=422 if problem else 200)
    response["Cache-Control"] = "no-store"
    return response


@access.requires(Role.OWNER)
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: WorkspaceRequest) -> HttpResponse:
    if request.method != "POST":
        return show(request)
    url, sends_link = request.POST.get("url", ""), request.POST.get("sends") == "link"
    try:
        secret = services.webhook_save(request.access, url=url, sends_link=sends_link)
    except Refused as error:
        return show(request, problem=str(error))
    if secret:
        return show(request, secret=secret)
    messages.success(request, "Saved.")
    return redirect("webhooks:page", request.access.workspace.slug)


@access.requires(Role.OWNER)
@require_POST
def renew(request: WorkspaceRequest) -> HttpResponse:
    try:
        return show(request, secret=services.webhook_renew(request.access))
    except Refused as error:
        return show(request, problem=str(error))


@access.requires(Role.OWNER)
@require_POST
def remove(request: WorkspaceRequest) -> HttpResponse:
    services.webhook_remove(request.access)
    messages.success(request, "The webhook is removed.")
    return redirect("webhooks:page", request.access.workspace.slug)


@access.requires(Role.OWNER)
@require_POST
def try_out(request: WorkspaceRequest) -> HttpResponse:
    """Sends a message without a file."""
    try:
        services.push(request.access, event="ping", subject="a test", about={"words": "A test."})
    except Refused as error:
        return show(request, problem=str(error))
    return redirect("webhooks:page", request.access.workspace.slug)


def _delivery(request: WorkspaceRequest, pk: int) -> Delivery:
    return get_object_or_404(selectors.deliveries_of(request.access.workspace), pk=pk)


@access.requires(Role.EDITOR)
@require_safe
def delivery(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """How one delivery stands; polled while it is young."""
    return render(request, "webhooks/_delivery.html", {"delivery": _delivery(request, pk)})


@access.requires(Role.OWNER)
@require_POST
def repeat(request: WorkspaceRequest, pk: int) -> HttpResponse:
    try:
        services.delivery_repeat(request.access, _delivery(request, pk))
    except Refused as error:
        messages.error(request, str(error))
    return redirect("webhooks:page", request.access.workspace.slug)


@access.public
@require_safe
def file(request: HttpRequest, signed: str) -> HttpResponseBase:
    """The file of a delivery, for whoever was sent its link within the last day."""
    found = delivery_behind(signed)
    if found is None:
        raise Http404("This link is no longer valid.")
    with_lines = found.path.open("rb")
    response = download(request, with_lines, filename=found.filename, content_type=MEDIA_TYPE)
    response["Cache-Control"] = "no-store"
    return response
