"""Pages of registry."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from workspaces import access


@access.requires()
def models(request: HttpRequest) -> HttpResponse:
    return render(request, "base.html")
