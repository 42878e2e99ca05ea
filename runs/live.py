"""Telling pages that something changed: ids and a sequence number, nothing more."""

from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

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
    """From a service: tells pages once the change is committed; a channel that is away costs nothing else."""
    transaction.on_commit(lambda: _notify(run.workspace_id, run.pk), robust=True)


def _notify(workspace_id: int, run_id: int) -> None:
    sequence = Run.objects.filter(pk=run_id).values_list("sequence", flat=True).first()
    async_to_sync(announce)(workspace_id, run_id, -1 if sequence is None else sequence)
