"""An empty installation leads to its first-start page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def first_start(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    return get_response
