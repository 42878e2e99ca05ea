"""Writing the audit trail."""

from typing import Any

from workspaces.access import Access
from workspaces.models import AuditEvent, User


def record(access: Access, action: str, target: str = "", **detail: Any) -> AuditEvent:
    """One line: who did what to which thing. `detail` is plain JSON without secrets or private data."""
    return AuditEvent.objects.create(
        workspace=access.workspace,
        workspace_name=access.workspace.name,
        actor=access.actor,
        actor_label=access.actor_label,
        action=action,
        target=target[:254],
        detail=detail,
    )


def record_site(
    actor: User | None, action: str, target: str = "", *, workspace_name: str = "", **detail: Any
) -> AuditEvent:
    """The same for what concerns no workspace, or one that is gone. No actor: the system."""
    label = actor.email if actor else "system"
    return AuditEvent.objects.create(
        workspace_name=workspace_name,
        actor=actor,
        actor_label=label,
        action=action,
        target=target[:254],
        detail=detail,
    )
