"""Telling pages that something changed: ids and a sequence number, nothing more."""

from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from runs.models import Run


def group_of(workspace_id: int) -> str:
    return f"workspace.{workspace_id}"


def message(run_id: int, sequence: int) -> dict[str, Any]:
    return {"type": "run.changed", "run": run_id, "sequence": sequence}


async def announce(workspace_id: int, run_id: int, sequence: int) -> None:
    """From the engine. A lost message costs nothing: the next one, or a reload, shows the same."""
    layer = get_channel_layer()
    if layer is not None:
        await layer.group_send(group_of(workspace_id), message(run_id, sequence))


def notify(run: Run) -> None:
    """From a service, after its transaction."""
    sequence = Run.objects.filter(pk=run.pk).values_list("sequence", flat=True).first()
    async_to_sync(announce)(run.workspace_id, run.pk, sequence if sequence is not None else -1)
