"""How models did on the items of a dataset, across runs: which are hard, and one item's history."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.db.models import Count, ExpressionWrapper, F, IntegerField, Max, Q, QuerySet, Sum
from django.db.models.functions import Left

from datasets.models import DatasetVersion, Item
from judges.metrics import Estimate, proportion
from runs.models import ACTIVE_STATUSES, Run, Trial, TrialState
from runs.variations import DRAFTING_LABEL
from workspaces.models import Workspace

ROWS = 50
HISTORY_ROWS = 30
MILLION = 1_000_000
COUNTED_EVERY_S = 20  # while a run goes on
KEPT_S = 24 * 3600


@dataclass(frozen=True)
class HardItem:
    """An item with the share of its scored trials that passed."""

    item: Item
    estimate: Estimate
    passed: int
    cursor: str


@dataclass(frozen=True)
class HardPage:
    """A page of items, the hardest first; `older` is the next page's cursor, or ''."""

    rows: list[HardItem]
    newer: str
    older: str


def scored_trials(workspace: Workspace) -> QuerySet[Trial]:
    """Trials with a verdict, of runs and not of judgings."""
    done = Trial.objects.filter(run__workspace=workspace, run__judged=None, state=TrialState.DONE)
    return done.filter(passed__isnull=False).exclude(run__label=DRAFTING_LABEL)


def hardest(
    workspace: Workspace, version: DatasetVersion, *, section: str | None = None, after: str = ""
) -> HardPage:
    """Items of a version by the share of passed trials over all its runs, hardest first.

    Three queries; two where the place is kept from an earlier look and no run has changed since.
    """
    key = f"hardest:{version.pk}:{_state_of(version)}:{section!r}:{after}"
    key = hashlib.sha256(key.encode()).hexdigest()
    found: Any = cache.get_or_set(key, lambda: _ranked(workspace, version, section, after), KEPT_S)
    page = found[:ROWS]
    items = _items([row["item_id"] for row in page])
    shown = [
        HardItem(
            items[row["item_id"]], proportion(row["right"], row["n"]), row["right"],
            f"{row['ease']}-{row['place']}",
        )
        for row in page
    ]  # fmt: skip
    return HardPage(shown, newer=after, older=shown[-1].cursor if len(found) > ROWS else "")


def _state_of(version: DatasetVersion) -> str:
    """What tells that no run of the version has changed; while runs go on, it tells so for some seconds."""
    runs = Run.objects.filter(dataset_version=version, judged=None)
    busy = Count("pk", filter=Q(status__in=ACTIVE_STATUSES))
    found = runs.aggregate(n=Count("pk"), last=Max("pk"), moved=Sum("sequence"), busy=busy)
    moved = f"t{int(time.time() / COUNTED_EVERY_S)}" if found["busy"] else found["moved"]
    return f"{found['n']}.{found['last']}.{moved}"


def _ranked(
    workspace: Workspace, version: DatasetVersion, section: str | None, after: str
) -> list[dict[str, Any]]:
    """One row more than a page: a pass over all verdicts of the version."""
    trials = scored_trials(workspace).filter(run__dataset_version=version)
    if section is not None:
        trials = trials.filter(section=section)
    rows = trials.order_by().values("item_id").annotate(
        n=Count("pk"),
        right=Count("pk", filter=Q(passed=True)),
        place=F("item__position"),
    )  # fmt: skip
    rows = rows.annotate(ease=ExpressionWrapper(F("right") * MILLION / F("n"), IntegerField()))
    if "-" in after:
        ease, place = (int(part) if part.isascii() and part.isdigit() else 0 for part in after.split("-", 1))
        rows = rows.filter(Q(ease__gt=ease) | Q(ease=ease, place__gt=place))
    return [dict(row) for row in rows.order_by("ease", "place")[: ROWS + 1]]


def _items(ids: Sequence[int]) -> dict[int, Item]:
    shown = Item.objects.filter(pk__in=ids).annotate(start=Left("prompt", 300))
    only = shown.only("position", "version_id", "external_id", "section", "references", "tags")
    return {item.pk: item for item in only}


def history_of(workspace: Workspace, item: Item) -> list[Trial]:
    """The latest trials of an item, also of its selves in other versions; with run, model and version."""
    return list(
        _trials_of(workspace, item)
        .select_related("run__model", "run__dataset_version")
        .defer("response", "run__summary")
        .order_by("-pk")[:HISTORY_ROWS]
    )


def record_of(workspace: Workspace, item: Item) -> Estimate | None:
    """The share of its scored trials that passed; None before there is one."""
    # The condition within the count: in the query's own it would lead SQLite to an index of whole runs.
    scored = Q(state=TrialState.DONE, passed__isnull=False)
    counts = _trials_of(workspace, item).aggregate(
        n=Count("pk", filter=scored), right=Count("pk", filter=scored & Q(passed=True))
    )
    return proportion(counts["right"], counts["n"]) if counts["n"] else None


def _trials_of(workspace: Workspace, item: Item) -> QuerySet[Trial]:
    same: dict[str, Any] = {"pk": item.pk}
    if item.key:
        versions = DatasetVersion.objects.filter(dataset=item.version.dataset_id).values("pk")
        same = {"version__in": versions, "key": item.key}
    ids = Item.objects.filter(**same).order_by().values("pk")
    return Trial.objects.filter(item__in=ids, run__workspace=workspace, run__judged=None)
