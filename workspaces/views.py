"""Pages about a workspace: home, settings, members, invitations, API tokens."""

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from workspaces import access, selectors, services
from workspaces.access import WorkspaceRequest
from workspaces.forms import InviteForm, RenameForm, RoleForm, TokenForm, TypedConfirmation, WorkspaceForm
from workspaces.models import Role, User


@access.person
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """To the workspace looked at last, else the first one, else to making one."""
    mine = access.workspaces_of(request.user)
    last = request.session.get("workspace")
    workspace = mine.filter(slug=last).first() or mine.first()
    return redirect("analysis:dashboard", workspace.slug) if workspace else redirect("workspaces:create")


@access.person
def create(request: HttpRequest) -> HttpResponse:
    form = WorkspaceForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        workspace = services.workspace_create(cast(User, request.user), name=form.cleaned_data["name"])
        messages.success(request, f"{workspace} is ready. Invite the people who work with you.")
        return redirect("workspaces:members", workspace.slug)
    first = not access.workspaces_of(request.user).exists()
    return render(request, "workspaces/create.html", {"form": form, "first": first})


# Settings


def show_settings(request: WorkspaceRequest, status: int = 200, **forms: Any) -> HttpResponse:
    workspace = request.access.workspace
    context = {
        "rename_form": RenameForm(initial={"name": workspace.name}),
        "delete_form": TypedConfirmation(expected=delete_phrase(request)),
        **forms,
    }
    return render(request, "workspaces/settings.html", context, status=status)


def delete_phrase(request: WorkspaceRequest) -> str:
    return f"delete {request.access.workspace.slug}"


@access.requires(Role.OWNER)
@require_safe
def settings_page(request: WorkspaceRequest) -> HttpResponse:
    return show_settings(request)


@access.requires(Role.OWNER)
@require_POST
def rename(request: WorkspaceRequest) -> HttpResponse:
    form = RenameForm(request.POST)
    if not form.is_valid():
        return show_settings(request, 422, rename_form=form)
    services.workspace_rename(request.access, name=form.cleaned_data["name"])
    messages.success(request, "Renamed.")
    return redirect("workspaces:settings", request.access.workspace.slug)


@access.requires(Role.OWNER)
@require_POST
def delete(request: WorkspaceRequest) -> HttpResponse:
    form = TypedConfirmation(request.POST, expected=delete_phrase(request))
    if not form.is_valid():
        return show_settings(request, 422, delete_form=form)
    services.workspace_delete(request.access)
    messages.success(request, f"{request.access.workspace.name} and everything in it is deleted.")
    return redirect("home")


# Members and invitations


def show_members(request: WorkspaceRequest, status: int = 200, **more: Any) -> HttpResponse:
    """The page itself; after an invitation also its link, this once."""
    held = request.access
    context: dict[str, Any] = {
        "members": selectors.members_of(held.workspace), "roles": Role.choices,
        "form": None, "invitations": [],
    }  # fmt: skip
    if held.can_manage:
        context["form"] = InviteForm(access=held)
        context["invitations"] = selectors.open_invitations(held.workspace)
    return render(request, "workspaces/members.html", context | more, status=status)


@access.requires()
@require_safe
def members(request: WorkspaceRequest) -> HttpResponse:
    return show_members(request)


def back_to_members(request: WorkspaceRequest) -> HttpResponse:
    return redirect("workspaces:members", request.access.workspace.slug)


@access.requires(Role.OWNER)
@require_POST
def member_role(request: WorkspaceRequest, pk: int) -> HttpResponse:
    membership = get_object_or_404(selectors.members_of(request.access.workspace), pk=pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "There is no such role.")
        return back_to_members(request)
    try:
        services.member_set_role(request.access, membership, role=form.chosen)
        messages.success(request, f"{membership.user} is now {form.chosen.label.lower()}.")
    except services.Refused as refusal:
        messages.error(request, str(refusal))
    return back_to_members(request)


@access.requires(Role.OWNER)
@require_POST
def member_remove(request: WorkspaceRequest, pk: int) -> HttpResponse:
    membership = get_object_or_404(selectors.members_of(request.access.workspace), pk=pk)
    if membership.user == request.user:
        return leave_with(request)
    try:
        services.member_remove(request.access, membership)
        messages.success(request, f"{membership.user} is no longer a member.")
    except services.Refused as refusal:
        messages.error(request, str(refusal))
    return back_to_members(request)


@access.requires()
@require_POST
def leave(request: WorkspaceRequest) -> HttpResponse:
    return leave_with(request)


def leave_with(request: WorkspaceRequest) -> HttpResponse:
    """Site staff may look at a workspace without being a member; they have nothing to leave."""
    membership = get_object_or_404(selectors.members_of(request.access.workspace), user=request.user)
    try:
        services.member_remove(request.access, membership)
    except services.Refused as refusal:
        messages.error(request, str(refusal))
        return back_to_members(request)
    messages.success(request, f"You left {request.access.workspace}.")
    return redirect("home")


@access.requires(Role.OWNER)
def invite(request: WorkspaceRequest) -> HttpResponse:
    """Answers with the page, not a redirect: the link is never stored, so it can be shown only here."""
    if request.method != "POST":
        return back_to_members(request)
    form = InviteForm(request.POST, access=request.access)
    if not form.is_valid():
        return show_members(request, 422, form=form)
    invitation, secret = services.invitation_create(
        request.access, role=form.chosen, email=form.cleaned_data["email"]
    )
    link = request.build_absolute_uri(reverse("workspaces:join", args=[secret]))
    return show_members(request, invitation=invitation, link=link)


@access.requires(Role.OWNER)
@require_POST
def invitation_revoke(request: WorkspaceRequest, pk: int) -> HttpResponse:
    invitation = get_object_or_404(request.access.workspace.invitations, pk=pk)
    services.invitation_revoke(request.access, invitation)
    messages.success(request, "The link no longer works.")
    return back_to_members(request)


# API tokens


def show_tokens(request: WorkspaceRequest, status: int = 200, **more: Any) -> HttpResponse:
    context = {
        "tokens": selectors.tokens_of(request.access), "form": TokenForm(access=request.access),
        "now": timezone.now(), "api_root": request.build_absolute_uri("/api/v1/"),
    }  # fmt: skip
    return render(request, "workspaces/tokens.html", context | more, status=status)


@access.requires()
def tokens(request: WorkspaceRequest) -> HttpResponse:
    """POST makes one and answers with the page, which is the only place that ever shows it."""
    if request.method != "POST":
        return show_tokens(request)
    form = TokenForm(request.POST, access=request.access)
    if not form.is_valid():
        return show_tokens(request, 422, form=form)
    token, secret = services.token_create(
        request.access, name=form.cleaned_data["name"], role=form.chosen, expires_at=form.expires_at
    )
    return show_tokens(request, token=token, secret=secret)


@access.requires()
@require_POST
def token_revoke(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """One's own; an owner any of the workspace."""
    token = get_object_or_404(selectors.tokens_of(request.access), pk=pk)
    services.token_revoke(request.access, token)
    messages.success(request, f"{token.name} no longer works.")
    return redirect("workspaces:tokens", request.access.workspace.slug)
