"""Pages about people: home, first start, members, invitations, tokens."""

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect

from workspaces import access


@access.person
def home(request: HttpRequest) -> HttpResponse:
    """To the first workspace, or to making one."""
    workspace = access.workspaces_of(request.user).first()
    return redirect("runs:board", workspace.slug) if workspace else redirect("workspaces:create")


@access.public
def healthz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})
