"""Bearer tokens, declared roles, throttle and pages of the API. Imports no DRF view: DRF imports this."""

import re
from time import time
from typing import Any, cast

from django.conf import settings
from django.core.cache import cache
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, NotFound, ParseError
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from workspaces import selectors, services
from workspaces.access import Access, access_for, access_for_token
from workspaces.models import ApiToken, Role, User


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer evp_…`: the request's user is the token's maker, its `auth` the token."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        if len(words) != 2:
            raise AuthenticationFailed("Send the header as: Authorization: Bearer <token>.")
        token = selectors.usable_token(words[1].decode("ascii", "replace"))
        if token is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked.")
        services.token_used(token)
        return token.created_by, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Evalportal"'


class DeclaredRole(BasePermission):
    """Grants what the view declares in `roles`, and nothing else; sets `request.access`.

    A key of `roles` is an action (`"create"`), a method (`"post"`), or `"read"` / `"write"` for all
    safe / other methods; the first that exists counts.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        needed = needed_role(request, view)
        if needed is None or not request.user.is_authenticated:
            return False
        cast(Any, request).access = access_of(request, needed)
        return True


def needed_role(request: Request, view: Any) -> Role | None:
    """The declared role; None, which refuses, where nothing is declared."""
    roles: dict[str, Role] = getattr(view, "roles", {})
    method = (request.method or "").lower()
    action = getattr(view, "action", method)
    if action in (None, "metadata") and roles:
        return Role.VIEWER  # no such method here: let DRF answer 405
    default = "read" if request.method in SAFE_METHODS else "write"
    return next((roles[key] for key in (action, method, default) if key in roles), None)


def access_of(request: Request, needed: Role) -> Access:
    """The token's workspace, or for a session the one named by header `X-Workspace` or `?workspace=`."""
    if isinstance(request.auth, ApiToken):
        return access_for_token(request.auth, needed)
    slug = request.headers.get("X-Workspace") or request.query_params.get("workspace")
    if not slug:
        raise ParseError("Name the workspace: header `X-Workspace: <slug>` or parameter `workspace`.")
    return access_for(request.user, slug, needed)


class TokenThrottle(BaseThrottle):
    """A ceiling of requests a minute per token (or person), counted in fixed windows."""

    WINDOW_S = 60

    def allow_request(self, request: Request, view: Any) -> bool:
        self.now = time()
        who = f"t{request.auth.pk}" if isinstance(request.auth, ApiToken) else f"u{request.user.pk}"
        key = f"api-throttle:{who}:{int(self.now // self.WINDOW_S)}"
        cache.add(key, 0, timeout=self.WINDOW_S * 2)
        try:
            return cache.incr(key) <= settings.API_REQUESTS_PER_MINUTE
        except ValueError:  # evicted between the two calls
            return True

    def wait(self) -> float:
        return self.WINDOW_S - self.now % self.WINDOW_S


class KeysetPagination(CursorPagination):
    """Newest first by id; `?limit=` up to 200. Deep pages cost what the first one costs."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200

    def decode_cursor(self, request: Request) -> Any:
        """A cursor that was made up is refused; DRF would hand its position to the database."""
        cursor = super().decode_cursor(request)
        position = cursor.position if cursor else None
        if position is not None and not re.fullmatch(r"[0-9]{1,18}", str(position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor


class AnyPerson(BasePermission):
    """For what is the same for everyone who may log in, such as the schema."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.is_authenticated)
