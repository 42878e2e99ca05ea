"""Writing the audit trail."""

from typing import Any

from workspaces.access import Access
from workspaces.models import AuditEvent


def record(access: Access, action: str, target: str = "", **detail: Any) -> AuditEvent:
    """One line: who did what to which thing. `detail` is plain JSON without secrets or private data."""
    return AuditEvent.objects.create(
        workspace=access.workspace, workspace_name=access.workspace.name, actor=access.actor,
        actor_label=access.actor_label, action=action, target=target[:254], detail=detail,
    )
