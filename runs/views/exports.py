"""Downloads of a run."""

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404

from evalportal.lib.plugins import UnknownPlugin
from runs.exports.response import export_response
from runs.selectors import runs_of
from workspaces import access
from workspaces.access import WorkspaceRequest
from workspaces.models import Role


@access.requires(Role.VIEWER)
def export(request: WorkspaceRequest, pk: int, kind: str) -> HttpResponse:
    run = get_object_or_404(runs_of(request.access.workspace), pk=pk)
    try:
        return export_response(request, run, kind)
    except UnknownPlugin as error:
        raise Http404(str(error)) from error
