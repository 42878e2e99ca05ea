"""What a dataset's card tells of a version: counted once by the database, then kept."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

from django.core.cache import cache
from django.db.models import Avg, Count, Max, Q
from django.db.models.functions import Length

from datasets.filters import CHECKS, KINDS, ItemFilter, asked
from datasets.models import DatasetVersion, Item

CHARS_PER_TOKEN = 4
EDGES = (0, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
KEPT_S = 30 * 86_400


@dataclass(frozen=True)
class Bar:
    """One bar of the histogram; `share` of the tallest bar, as a percentage."""

    label: str
    items: int
    share: float


@dataclass(frozen=True)
class Profile:
    """Figures of one version. Tokens are characters / 4, of the input with its choices."""

    bars: list[Bar]
    mean_tokens: float | None
    most_tokens: int | None
    kinds: list[tuple[str, str, int]]
    checks: list[tuple[str, str, int]]


def profile_of(version: DatasetVersion) -> Profile:
    key = f"profile:{version.pk}:{version.content_hash}"
    return cast(Profile, cache.get_or_set(key, lambda: _profile(version), KEPT_S))


def _profile(version: DatasetVersion) -> Profile:
    items = Item.objects.filter(version=version).order_by()
    measured = items.annotate(tokens=Length(asked()) / CHARS_PER_TOKEN)
    kinds = {f"kind_{key}": Count("pk", filter=condition) for key, (_, condition) in KINDS.items()}
    found = measured.aggregate(mean=Avg("tokens"), most=Max("tokens"), **_bins(), **kinds)
    checks = [(key, title, ItemFilter(check=key).apply(items).count()) for key, title in CHECKS.items()]
    counted = [(key, title, found[f"kind_{key}"]) for key, (title, _) in KINDS.items()]
    return Profile(
        bars=_bars([found[f"bin_{index}"] for index in range(len(EDGES))]),
        mean_tokens=found["mean"],
        most_tokens=found["most"],
        kinds=[kind for kind in counted if kind[2]],
        checks=checks,
    )


def _bins() -> dict[str, Any]:
    bounds = zip(EDGES, (*EDGES[1:], None), strict=True)
    within = [Q(tokens__gte=low) & (Q(tokens__lt=high) if high else Q()) for low, high in bounds]
    return {f"bin_{index}": Count("pk", filter=condition) for index, condition in enumerate(within)}


def _bars(counts: list[int]) -> list[Bar]:
    """From the first to the last bin that holds something."""
    filled = [index for index, count in enumerate(counts) if count]
    tallest = max(counts, default=0)
    labels = [f"{low:,}–{high - 1:,}" for low, high in pairwise(EDGES)]
    labels.append(f"{EDGES[-1]:,} or more")
    shown = range(filled[0], filled[-1] + 1) if filled else range(0)
    return [Bar(labels[index], counts[index], 100 * counts[index] / tallest) for index in shown]
