"""Pages of runs."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from workspaces import access


@access.requires()
def board(request: HttpRequest) -> HttpResponse:
    return render(request, "base.html")
