"""Errors of the API as problem details (RFC 9457): one shape for every failure."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.exceptions import PermissionDenied as ApiPermissionDenied
from rest_framework.response import Response

MEDIA_TYPE = "application/problem+json"


class Conflict(APIException):
    status_code = HTTPStatus.CONFLICT
    default_detail = "This conflicts with the present state."
    default_code = "conflict"


class Unprocessable(APIException):
    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_detail = "The request is well-formed but cannot be carried out."
    default_code = "unprocessable"


def problem(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """The body of a problem; `about:blank` says that the status tells its type."""
    return {
        "type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status),
        "detail": detail, **more,
    }  # fmt: skip


def problem_details(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None, an error of ours, becomes the site's 500."""
    known = as_api_error(error)
    if known is None:
        return None
    body = (
        problem(known.status_code, "Some fields are not right.", errors=flat_errors(known.detail))
        if isinstance(known, ValidationError)
        else problem(known.status_code, str(known.detail))
    )
    return Response(body, status=known.status_code, headers=extra_headers(known), content_type=MEDIA_TYPE)


def as_api_error(error: Exception) -> APIException | None:
    if isinstance(error, APIException):
        return error
    if isinstance(error, Http404):
        return NotFound(str(error) or None)
    if isinstance(error, PermissionDenied):
        return ApiPermissionDenied(str(error) or None)
    if isinstance(error, DjangoValidationError):
        return ValidationError(getattr(error, "message_dict", None) or error.messages)
    return None


def extra_headers(error: APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(challenge)
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(wait)
    return headers


def flat_errors(detail: Any, field: str = "") -> list[dict[str, str]]:
    """DRF's nested errors as a list; a field inside a field is written `scorers.0.key`."""
    if isinstance(detail, dict):
        pairs = [
            (join(field, "" if key == "non_field_errors" else str(key)), part) for key, part in detail.items()
        ]
    elif isinstance(detail, list):
        pairs = [
            (join(field, str(index)) if isinstance(part, dict | list) else field, part)
            for index, part in enumerate(detail)
        ]
    else:
        return [{"field": field, "message": str(detail)}]
    return [entry for name, part in pairs for entry in flat_errors(part, name)]


def join(field: str, key: str) -> str:
    return f"{field}.{key}" if field and key else field or key


def problem_page(request: HttpRequest, status: int, detail: str) -> JsonResponse:
    """A problem outside DRF: an address under /api/ that no route serves, or our own failure."""
    return JsonResponse(problem(status, detail), status=status, content_type=MEDIA_TYPE)
