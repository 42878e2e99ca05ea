"""Telling pages that something changed: ids and a sequence number, nothing more.

What streams in meanwhile (the item in flight and its response so far) lives in the cache for a few
seconds; pages read it, messages never carry it.
"""

from dataclasses import asdict, dataclass
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core.cache import cache

from runs.models import Run

GLIMPSE_KEPT_S = 30


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The trial that a card shows in flight: its number, question and response so far."""

    trial_id: int
    seq: int
    item_id: int
    prompt: str
    text: str = ""


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


def show_glimpse(run_id: int, glimpse: Glimpse) -> None:
    cache.set(f"glimpse:{run_id}", asdict(glimpse), GLIMPSE_KEPT_S)


def glimpse_of(run_id: int) -> Glimpse | None:
    kept = cache.get(f"glimpse:{run_id}")
    return Glimpse(**kept) if kept else None
