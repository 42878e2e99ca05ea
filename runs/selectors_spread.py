"""How much a run's verdicts hang on how items were asked; kept per (run, sequence)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.core.cache import cache
from django.db.models import Min

from datasets.models import Item
from judges.metrics.variation import ItemSpread, Spread, spread_of
from runs.models import Run, Score, Trial

KEPT_S = 7 * 24 * 3600
MOST_ITEMS = 1_000
ROWS = 50


@dataclass(frozen=True)
class SpreadRow:
    """An item of the table, with the number of its first trial."""

    spread: ItemSpread
    item: Item
    seq: int


def spread(run: Run, scorer: str) -> Spread | None:
    """None without variations or before the first score; one query, then none while the run is unchanged."""
    if len(run.variants.titles) < 2 or run.judged_id:
        return None
    key = f"spread:{run.pk}:{run.sequence}:{scorer}".replace(" ", "_")
    kept: Spread | None = cache.get(key)
    if kept is None and (kept := _computed(run, scorer, MOST_ITEMS)) is not None:
        cache.set(key, kept, KEPT_S)
    return kept


def _computed(run: Run, scorer: str, most: int) -> Spread | None:
    scores = Score.objects.filter(run=run, scorer=scorer, value__isnull=False).order_by()
    columns = ("trial__item_id", "trial__epoch", "value", "passed")
    rows = list(scores.values_list(*columns).iterator(chunk_size=5000))
    items, turns, values, passed = zip(*rows, strict=True) if rows else ((), (), (), ())
    # Every score with a verdict: the share that passes, as the run's accuracy; else the mean value.
    verdicts = all(each is not None for each in passed)
    variants = run.variants
    return spread_of(
        np.array(items, dtype=np.int64),
        np.array([variants.place(turn) for turn in turns], dtype=np.int64),
        np.array(passed if verdicts else values, dtype=np.float64),
        np.array([np.nan if each is None else each for each in passed], dtype=np.float64),
        most,
    )


def spread_rows(run: Run, found: Sequence[ItemSpread]) -> list[SpreadRow]:
    """With what a table shows of the items; two queries."""
    ids = [each.item for each in found]
    items = Item.objects.only("position", "external_id", "prompt", "section", "version_id").in_bulk(ids)
    trials = Trial.objects.filter(run=run, item__in=ids).order_by().values("item_id")
    first = dict(trials.annotate(first=Min("seq")).values_list("item_id", "first"))
    return [SpreadRow(each, items[each.item], first[each.item]) for each in found]


def every_item(run: Run, scorer: str) -> Iterator[dict[str, Any]]:
    """All items of the run with their spread, in the dataset's order, as plain rows."""
    found = _computed(run, scorer, run.total)
    by_item = {each.item: each for each in found.items} if found else {}
    rows = Item.objects.filter(pk__in=Trial.objects.filter(run=run, epoch=1).values("item"))
    columns = ("pk", "position", "external_id", "section")
    for pk, position, external_id, section in rows.order_by("position").values_list(*columns).iterator(2000):
        each = by_item.get(pk)
        row = {"position": position, "item_id": external_id, "section": section}
        yield row | ({} if each is None else _plain(each))


def _plain(each: ItemSpread) -> dict[str, Any]:
    return {
        "mean": each.mean, "sd": each.sd, "lowest": each.lowest, "highest": each.highest, "flips": each.flips,
        "values": each.values,
    }  # fmt: skip


def spread_json(run: Run) -> dict[str, Any] | None:
    """Mean and spread by the first scorer as plain data; None without variations or a score."""
    found = spread(run, next(iter(run.scorer_names), ""))
    if found is None:
        return None
    titles = run.variants.titles
    return {
        "mean": found.mean,
        "sd_of_variants": found.sd,
        "mean_sd_of_items": found.item_sd.as_dict(),
        "flips": found.flips.as_dict(),
        "variants": [
            {
                "variant": each.place,
                "variation": titles[each.place],
                "value": each.estimate.as_dict(),
                "difference": each.difference.as_dict() if each.difference else None,
            }
            for each in found.variants
        ],
    }
