"""The only place that decides who may do what.

Every view declares itself with one of the decorators below; a test walks all routes and fails on
one that does not. Another workspace's anything is a 404: an outsider learns nothing of what exists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from secrets import compare_digest
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

from workspaces.models import ApiToken, Membership, Role, User, Workspace

View = Callable[..., HttpResponseBase]
V = TypeVar("V", bound=Callable[..., Any])


@dataclass(frozen=True)
class Access:
    """Someone's proven right to act in one workspace with one role."""

    workspace: Workspace
    role: Role
    user: User | None = None
    token: ApiToken | None = None

    @property
    def actor_label(self) -> str:
        """Who acts, for the audit trail."""
        if self.token:
            return f"token {self.token.name}"
        return self.user.email if self.user else "system"

    @property
    def actor(self) -> User | None:
        """The person answerable for it: the token's maker when a token acts."""
        return self.token.created_by if self.token else self.user

    def can(self, role: Role | str) -> bool:
        return self.role.covers(Role(role))

    @property
    def can_edit(self) -> bool:
        return self.can(Role.EDITOR)

    @property
    def can_manage(self) -> bool:
        return self.can(Role.OWNER)


class WorkspaceRequest(HttpRequest):
    """A request that passed `requires`; exists for the type checker."""

    access: Access
    user: User
    htmx: Any


def role_in(user: Any, workspace_id: int) -> Role | None:
    """The person's role now, or None for an outsider. Site staff act as owners. One query for others."""
    if not user.is_authenticated or not user.is_active:
        return None
    if user.is_staff:
        return Role.OWNER
    memberships = Membership.objects.filter(user=user, workspace_id=workspace_id)
    role = memberships.values_list("role", flat=True).first()
    return Role(role) if role else None


def access_for(user: Any, slug: str, role: Role = Role.VIEWER) -> Access:
    """The user's access to a workspace. Raises Http404 for outsiders, PermissionDenied below `role`."""
    workspace = Workspace.objects.filter(slug=slug).first()
    held = role_in(user, workspace.pk) if workspace else None
    if workspace is None or held is None:
        raise Http404("No such workspace")
    if not held.covers(role):
        raise PermissionDenied(f"This needs the role {role.label.lower()}; yours is {held.label.lower()}.")
    return Access(workspace=workspace, role=held, user=user)


def access_for_token(token: ApiToken, role: Role = Role.VIEWER) -> Access:
    """A token acts with the lower of its own role and its maker's present one."""
    held = role_in(token.created_by, token.workspace_id) if token.is_usable else None
    if held is None:
        raise PermissionDenied("This token is no longer valid.")
    acting = Role(token.role) if held.covers(Role(token.role)) else held
    if not acting.covers(role):
        held_name = acting.label.lower()
        raise PermissionDenied(f"This needs the role {role.label.lower()}; the token's is {held_name}.")
    return Access(workspace=token.workspace, role=acting, token=token)


def system_access(workspace: Workspace) -> Access:
    """For management commands and the demo: the operator at the terminal."""
    return Access(workspace=workspace, role=Role.OWNER)


def staff_access(user: User, workspace: Workspace) -> Access:
    """For admin actions. Raises PermissionDenied unless the user is site staff."""
    if not (user.is_active and user.is_staff):
        raise PermissionDenied("Site staff only.")
    return Access(workspace=workspace, role=Role.OWNER, user=user)


def workspaces_of(user: Any) -> QuerySet[Workspace]:
    if not user.is_authenticated:
        return Workspace.objects.none()
    return Workspace.objects.filter(memberships__user=user)


def declare(name: str) -> Callable[[V], V]:
    def mark(view: V) -> V:
        cast(Any, view).access_declared = name
        return view

    return mark


def public(view: V) -> V:
    """Anyone, logged in or not. Such a view shows nothing of a workspace."""
    return declare("public")(view)


def person(view: View) -> View:
    """Any logged-in person; the view scopes what it reads to that person."""
    return declare("person")(login_first(view))


def is_staff(user: Any) -> bool:
    return bool(user.is_authenticated and user.is_active and user.is_staff)


def staff(view: View) -> View:
    """Site staff, after the login; for others there is nothing."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_staff(request.user):
            raise Http404("Site staff only")
        return view(request, *args, **kwargs)

    return declare("staff")(login_first(guarded))


def monitor(view: View) -> View:
    """Site staff, or a machine that bears EVALPORTAL_METRICS_TOKEN; for others there is nothing."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not bears(request, settings.METRICS_TOKEN) and not is_staff(request.user):
            raise Http404("Site staff and monitoring only")
        return view(request, *args, **kwargs)

    return declare("monitor")(guarded)


def bears(request: HttpRequest, token: str) -> bool:
    """Whether the request carries this bearer token; an empty one is nobody's. In constant time."""
    sent = request.headers.get("Authorization", "")
    return bool(token) and compare_digest(sent.encode(), f"Bearer {token}".encode())


def login_first(view: View) -> View:
    """To the login and back. A fragment that htmx asks for sends the whole page there, not itself."""
    redirecting = login_required(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        htmx = getattr(request, "htmx", False)
        if htmx and not request.user.is_authenticated:
            back = cast(Any, htmx).current_url_abs_path or reverse("home")
            login = f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}"
            return cast(HttpResponseBase, HttpResponseClientRedirect(login))
        return redirecting(request, *args, **kwargs)

    return guarded


def requires(role: Role = Role.VIEWER) -> Callable[[View], View]:
    """Members of the workspace in the URL (`slug`) with at least this role; sets `request.access`."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, slug: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
            access = access_for(request.user, slug, role)
            cast(Any, request).access = access
            remember(request, access.workspace)
            return view(request, *args, **kwargs)

        return declare(role.value)(login_first(guarded))

    return decorate


def remember(request: HttpRequest, workspace: Workspace) -> None:
    """The page last looked at decides where home leads. Fragments don't count: a tab left open polls."""
    looked_at = request.method == "GET" and not getattr(request, "htmx", False)
    if looked_at and request.session.get("workspace") != workspace.slug:
        request.session["workspace"] = workspace.slug
