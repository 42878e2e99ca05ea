"""What every API route shares: bearer tokens, declared roles, pages, problem details, idempotency."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import BasePermission
from rest_framework.views import exception_handler as problem_details  # noqa: F401


class BearerAuthentication(BaseAuthentication):
    def authenticate(self, request: Any) -> None:
        return None


class DeclaredRole(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return False


class KeysetPagination(CursorPagination):
    ordering = "-id"
