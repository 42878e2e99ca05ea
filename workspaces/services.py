"""What users command about workspaces, members, invitations and tokens; each writes the audit trail.

People themselves (first start, joining, site staff) are in `workspaces.people`.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import slugify

from workspaces import audit, deletion, selectors
from workspaces.access import Access
from workspaces.models import ApiToken, Invitation, Membership, Role, User, Workspace
from workspaces.secrets import SHOWN_CHARACTERS, digest, new_link_secret, new_token

USE_NOTED_EVERY = timedelta(minutes=1)


class Refused(Exception):
    """A rule of the house forbids it; the message says which, for people."""


# Workspaces


@transaction.atomic
def workspace_create(user: User, *, name: str) -> Workspace:
    """A new workspace that this person owns."""
    workspace = _with_free_slug(name)
    Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
    audit.record(Access(workspace=workspace, role=Role.OWNER, user=user), "workspace.create", name)
    return workspace


def _with_free_slug(name: str) -> Workspace:
    base = slugify(name)[:50].strip("-") or "workspace"
    for number in range(1, 1000):
        slug = base if number == 1 else f"{base}-{number}"
        if Workspace.objects.filter(slug=slug).exists():
            continue
        try:
            with transaction.atomic():
                return Workspace.objects.create(slug=slug, name=name)
        except IntegrityError:  # taken in this moment
            continue
    raise Refused("There are too many workspaces of that name.")


@transaction.atomic
def workspace_rename(access: Access, *, name: str) -> None:
    """The address (slug) stays, so that links keep working."""
    workspace, before = access.workspace, access.workspace.name
    workspace.name = name
    workspace.save(update_fields=["name"])
    audit.record(access, "workspace.rename", name, before=before)


@transaction.atomic
def workspace_set_ceilings(access: Access, *, cost: Decimal | None, tokens: int | None) -> None:
    """What all runs of a calendar month may take, in dollars and tokens; None is no limit."""
    if (cost or 0) < 0 or (tokens or 0) < 0:
        raise Refused("A ceiling is 0 or more; leave it empty for none.")
    workspace = access.workspace
    before = {"cost": workspace.monthly_cost_ceiling, "tokens": workspace.monthly_token_ceiling}
    workspace.monthly_cost_ceiling, workspace.monthly_token_ceiling = cost, tokens
    workspace.save(update_fields=["monthly_cost_ceiling", "monthly_token_ceiling"])
    audit.record(
        access, "workspace.set_ceilings", workspace.name, cost=_plain(cost), tokens=tokens,
        before={**before, "cost": _plain(before["cost"])},
    )  # fmt: skip


def _plain(amount: Any) -> str | None:
    return None if amount is None else str(amount)


@transaction.atomic
def workspace_delete(access: Access) -> None:
    """Removes the workspace with everything in it; its audit lines stay."""
    name = access.workspace.name
    removed = deletion.workspace_wipe(access.workspace)
    audit.record_site(access.actor, "workspace.delete", name, workspace_name=name, removed=removed)


# Members


@transaction.atomic
def member_add(access: Access, *, user: User, role: Role) -> Membership:
    """For site staff; everyone else invites. Raises Refused for someone who is a member already."""
    if Membership.objects.filter(workspace=access.workspace, user=user).exists():
        raise Refused(f"{user.email} is a member already.")
    membership = Membership.objects.create(workspace=access.workspace, user=user, role=role)
    audit.record(access, "member.add", user.email, role=role.value)
    return membership


@transaction.atomic
def member_set_role(access: Access, membership: Membership, *, role: Role) -> None:
    """Raises Refused for the last owner."""
    before = membership.role
    if role != Role.OWNER:
        _refuse_for_last_owner(membership)
        _revoke_invitations_of(membership)
    membership.role = role
    membership.save(update_fields=["role"])
    audit.record(access, "member.set_role", membership.user.email, before=before, role=role.value)


@transaction.atomic
def member_remove(access: Access, membership: Membership) -> None:
    """Ends the membership; the person's tokens and open invitations end with it. Raises Refused."""
    _refuse_for_last_owner(membership)
    tokens = ApiToken.objects.filter(workspace=membership.workspace_id, created_by=membership.user_id)
    tokens.filter(revoked_at=None).update(revoked_at=timezone.now())
    _revoke_invitations_of(membership)
    membership.delete()
    left = access.user == membership.user and access.token is None
    audit.record(access, "member.leave" if left else "member.remove", membership.user.email)


def _revoke_invitations_of(membership: Membership) -> None:
    """Else a former owner could come back, as owner, by a link of their own."""
    sent = Invitation.objects.filter(workspace=membership.workspace_id, created_by=membership.user_id)
    sent.filter(accepted_at=None, revoked_at=None).update(revoked_at=timezone.now())


def _refuse_for_last_owner(membership: Membership) -> None:
    """Locks the workspace first, so that two owners cannot remove each other at the same moment."""
    Workspace.objects.select_for_update().get(pk=membership.workspace_id)
    membership.refresh_from_db(fields=["role"])
    if membership.role == Role.OWNER and not selectors.other_owners(membership).exists():
        raise Refused("A workspace keeps at least one owner. Make someone else an owner first.")


# Invitations


@transaction.atomic
def invitation_create(access: Access, *, role: Role, email: str = "") -> tuple[Invitation, str]:
    """The invitation and the secret of its link, which is not stored."""
    _refuse_above_own_role(access, role)
    secret = new_link_secret()
    invitation = Invitation.objects.create(
        workspace=access.workspace, email=email.lower(), role=role, token_hash=digest(secret),
        created_by=access.user, expires_at=timezone.now() + settings.INVITATION_LIFETIME,
    )  # fmt: skip
    audit.record(access, "invitation.create", email, role=role.value)
    return invitation, secret


@transaction.atomic
def invitation_revoke(access: Access, invitation: Invitation) -> None:
    still_open = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    if still_open.update(revoked_at=timezone.now()):
        audit.record(access, "invitation.revoke", invitation.email, role=invitation.role)


@transaction.atomic
def invitation_accept(invitation: Invitation, user: User) -> Membership:
    """Makes the person a member, once. Raises Refused."""
    if invitation.email and invitation.email != user.email.lower():
        raise Refused(f"This invitation is for {invitation.email}; you are logged in as {user.email}.")
    if Membership.objects.filter(workspace=invitation.workspace_id, user=user).exists():
        raise Refused("You are a member of this workspace already.")
    now = timezone.now()
    still_open = Invitation.objects.filter(
        pk=invitation.pk, accepted_at=None, revoked_at=None, expires_at__gt=now
    )
    if not still_open.update(accepted_at=now, accepted_by=user):
        raise Refused("This invitation was used, revoked or has expired.")
    role = Role(invitation.role)
    membership = Membership.objects.create(workspace=invitation.workspace, user=user, role=role)
    access = Access(workspace=invitation.workspace, role=role, user=user)
    audit.record(access, "invitation.accept", user.email, role=role.value)
    return membership


def _refuse_above_own_role(access: Access, role: Role) -> None:
    if not access.can(role):
        raise Refused(f"You can give at most your own role, {access.role.label.lower()}.")


# API tokens


@transaction.atomic
def token_create(
    access: Access, *, name: str, role: Role, expires_at: datetime | None
) -> tuple[ApiToken, str]:
    """The token's row and the token itself, which is not stored. Raises Refused above one's own role."""
    _refuse_above_own_role(access, role)
    if access.user is None:
        raise Refused("Only a person can make a token.")
    secret = new_token()
    token = ApiToken.objects.create(
        workspace=access.workspace, created_by=access.user, name=name, prefix=secret[:SHOWN_CHARACTERS],
        token_hash=digest(secret), role=role, expires_at=expires_at,
    )  # fmt: skip
    audit.record(access, "token.create", str(token), role=role.value)
    return token, secret


@transaction.atomic
def token_revoke(access: Access, token: ApiToken) -> None:
    if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
        audit.record(access, "token.revoke", str(token))


def token_used(token: ApiToken) -> None:
    """Notes the use, at most once a minute, so that a busy script costs no write per request."""
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at < now - USE_NOTED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
