"""What is read about people, workspaces, tokens and the audit trail."""

from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.utils import timezone

from workspaces.access import Access
from workspaces.models import ApiToken, Invitation, Membership, Role, User, Workspace
from workspaces.secrets import TOKEN_PREFIX, digest

_seen: set[str] = set()  # facts that, once true, stay true while this process lives


def installation_is_empty() -> bool:
    """No query once somebody has been seen."""
    if "somebody" in _seen:
        return False
    if User.objects.exists():
        _seen.add("somebody")
        return False
    return True


def forget_somebody() -> None:
    """For tests, whose databases empty themselves."""
    _seen.clear()


def usable_token(secret: str) -> ApiToken | None:
    """The token with maker and workspace, unless it is unknown, expired, revoked or its maker inactive."""
    if not secret.startswith(TOKEN_PREFIX):
        return None
    tokens = ApiToken.objects.select_related("created_by", "workspace")
    token = tokens.filter(token_hash=digest(secret)).first()
    return token if token and token.is_usable and token.created_by.is_active else None


def members_of(workspace: Workspace) -> QuerySet[Membership]:
    """Owners first, then by email; each with its person."""
    rank = Case(*(When(role=role, then=Value(role.rank)) for role in Role), output_field=IntegerField())
    return workspace.memberships.select_related("user").order_by(rank.desc(), "user__email")


def other_owners(membership: Membership) -> QuerySet[Membership]:
    """Active owners of the same workspace besides this member."""
    owners = Membership.objects.filter(
        workspace=membership.workspace_id, role=Role.OWNER, user__is_active=True
    )
    return owners.exclude(pk=membership.pk)


def open_invitations(workspace: Workspace) -> QuerySet[Invitation]:
    open_now = workspace.invitations.filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now())
    return open_now.select_related("created_by").order_by("-id")


def open_invitation(secret: str) -> Invitation | None:
    """The invitation behind a link, with its workspace and sender, while it can be accepted."""
    invitations = Invitation.objects.select_related("workspace", "created_by")
    found = invitations.filter(token_hash=digest(secret)).first()
    return found if found and found.is_open else None


def tokens_of(access: Access) -> QuerySet[ApiToken]:
    """An owner sees every token of the workspace, anyone else their own; revoked ones are left out."""
    tokens = access.workspace.tokens.filter(revoked_at=None).select_related("created_by").order_by("-id")
    return tokens if access.can_manage else tokens.filter(created_by=access.user)
