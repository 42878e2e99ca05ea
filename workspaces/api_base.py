"""Bearer tokens, declared roles and pages of the API; imports no DRF view, since DRF imports this."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import BasePermission


class BearerAuthentication(BaseAuthentication):
    def authenticate(self, request: Any) -> None:
        return None


class DeclaredRole(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return False


class KeysetPagination(CursorPagination):
    ordering = "-id"
