"""What streams in meanwhile: the item in flight and its response so far, in the cache for a few seconds.

Pages read it; messages never carry it.
"""

from dataclasses import asdict, dataclass

from django.core.cache import cache

GLIMPSE_KEPT_S = 30


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The trial that a card shows in flight: its number, question and response so far."""

    trial_id: int
    seq: int
    item_id: int
    prompt: str
    text: str = ""


def show_glimpse(run_id: int, glimpse: Glimpse) -> None:
    cache.set(f"glimpse:{run_id}", asdict(glimpse), GLIMPSE_KEPT_S)


def glimpse_of(run_id: int) -> Glimpse | None:
    kept = cache.get(f"glimpse:{run_id}")
    return Glimpse(**kept) if kept else None
