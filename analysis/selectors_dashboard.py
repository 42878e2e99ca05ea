"""What the dashboard shows: active runs, what needs a person, results against the run before."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import or_

from django.core.cache import cache
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from analysis.comparison import compare_runs
from analysis.models import TriagedItem, TriageState
from analysis.outcomes import same
from analysis.stats.results import Difference
from judges.metrics import Estimate
from registry.selectors import providers_for
from runs.engine.clock import now_ms
from runs.metrics import primary_estimate
from runs.models import ACTIVE_STATUSES, Run, RunStatus
from runs.selectors import listed, seconds_left, with_counters
from runs.selectors_status import ProviderRow, calls_by_provider, latest_calls, provider_rows
from workspaces.models import AuditEvent, Workspace

ACTIVE_SHOWN, RECENT_SHOWN, READY_SHOWN, ACTIVITY_SHOWN, ATTENTION_SHOWN = 8, 6, 6, 8, 5
PROVIDERS_SHOWN = 5
STAYS_ACTIVE = timedelta(minutes=10)
NEEDS_ATTENTION_FOR = timedelta(days=3)
WEEK = timedelta(days=7)
OF_OWNERS = ("token", "hub_token", "invitation", "webhook")
READY_OF_LAST = 200
MOST_COMPARED = 8
PATIENCE_S = 0.4
"""Of one page, for differences that are not known yet; the others come with the next reading."""
DIFFERENCE_KEPT_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class ActiveRow:
    run: Run
    estimate: Estimate | None
    left_s: float | None

    @property
    def share_done(self) -> float:
        return self.run.terminal / self.run.total if self.run.total else 0.0


def active_rows(workspace: Workspace) -> list[ActiveRow]:
    """Active runs and the just finished, so that no row vanishes while it is read; two queries."""
    shown = Q(status__in=ACTIVE_STATUSES) | Q(finished_at__gt=timezone.now() - STAYS_ACTIVE)
    runs = with_counters(listed(workspace).filter(shown)).order_by("-id")[:ACTIVE_SHOWN]
    return [ActiveRow(run, primary_estimate(run, run.tallies.all()), seconds_left(run)) for run in runs]


def attention(workspace: Workspace) -> list[Run]:
    """Paused runs, and lately stopped ones with errors; one query."""
    lately = Q(finished_at__gt=timezone.now() - NEEDS_ATTENTION_FOR)
    stopped = lately & (Q(status=RunStatus.FAILED) | (Q(errored__gt=0) & ~Q(status=RunStatus.CANCELED)))
    runs = listed(workspace).filter(Q(status=RunStatus.PAUSED) | stopped)
    return list(runs.order_by("-id")[:ATTENTION_SHOWN])


def to_decide(workspace: Workspace) -> int:
    """Triaged items that wait for a decision; one query."""
    rows = TriagedItem.objects.filter(workspace=workspace, state=TriageState.OPEN, run__workspace=workspace)
    return rows.count()


@dataclass(frozen=True, slots=True)
class RecentRow:
    """A completed run, the run of the same alias on the same dataset before it, and their difference."""

    run: Run
    estimate: Estimate | None
    before: Run | None
    change: "Change | None"


@dataclass(frozen=True, slots=True)
class Change:
    """From the run before, in shares right, or in values where the scorer gives no verdicts."""

    difference: Difference
    share: bool


def recent_rows(workspace: Workspace) -> list[RecentRow]:
    """Three queries, and those of differences that nobody has asked for yet, within PATIENCE_S."""
    done = with_counters(listed(workspace).filter(status=RunStatus.COMPLETED)).order_by("-finished_at", "-id")
    runs = list(done[:RECENT_SHOWN])
    before = _before(workspace, runs)
    until = time.monotonic() + PATIENCE_S
    return [
        RecentRow(
            run,
            primary_estimate(run, run.tallies.all()),
            earlier := before.get(run.pk),
            _change(earlier, run, until) if earlier else None,
        )
        for run in runs
    ]


def _before(workspace: Workspace, runs: Sequence[Run]) -> dict[int, Run]:
    """By run id, the completed run of the same alias and dataset that finished last before it."""
    if not runs:
        return {}
    alike = listed(workspace).filter(
        status=RunStatus.COMPLETED,
        alias__in={run.alias for run in runs},
        dataset_version__dataset__in={run.dataset_version.dataset_id for run in runs},
    )
    found: dict[int, Run] = {}
    candidates = list(with_counters(alike).order_by("-finished_at", "-id")[: MOST_COMPARED * RECENT_SHOWN])
    for run in runs:
        for other in candidates:
            same_place = (other.alias, other.dataset_version.dataset_id) == (
                run.alias, run.dataset_version.dataset_id
            )  # fmt: skip
            if (
                same_place
                and other.pk != run.pk
                and (other.finished_at, other.pk) < (run.finished_at, run.pk)
            ):
                found[run.pk] = other
                break
    return found


def _change(first: Run, second: Run, until: float) -> Change | None:
    """By the first scorer that both have; kept beyond this process, since finished runs seldom change."""
    scorer = next((name for name in second.scorer_names if name in first.scorer_names), "")
    key = f"change:{same(first)}:{same(second)}:{scorer}".replace(" ", "")
    found: Change | None = cache.get(key)
    if found is None and scorer and time.monotonic() < until:
        compared = compare_runs([first, second], scorer)
        found = Change(compared.difference(0, 1), compared.verdicts)
        cache.set(key, found, DIFFERENCE_KEPT_S)
    return found


@dataclass(frozen=True, slots=True)
class Ready:
    """Runs of one dataset version that can be compared: the latest of each alias."""

    name: str
    items: int
    count: int
    runs: Sequence[int]
    version_id: int


def readiness(workspace: Workspace) -> list[Ready]:
    """Of the latest completed runs over all items, by dataset version; one query."""
    whole = Q(status=RunStatus.COMPLETED, total__gte=F("dataset_version__item_count"))
    rows = listed(workspace).filter(whole).order_by("-id")
    found: dict[int, list[tuple[int, str, str, int]]] = {}
    values = (
        "dataset_version",
        "pk",
        "alias",
        "dataset_version__dataset__name",
        "dataset_version__item_count",
    )
    for version, *rest in rows.values_list(*values)[:READY_OF_LAST]:
        found.setdefault(version, []).append(tuple(rest))
    ready = []
    for version, held in found.items():
        latest = list({alias: pk for pk, alias, _, _ in reversed(held)}.values())
        chosen = sorted(latest if len(latest) > 1 else [pk for pk, *_ in held])[-MOST_COMPARED:]
        ready.append(Ready(held[0][2], held[0][3], len(held), chosen, version))
    return sorted(ready, key=lambda each: -each.count)[:READY_SHOWN]


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """A provider as the workers treat it now, and the workspace's runs that call it."""

    now: ProviderRow
    runs: Sequence[Run]

    @property
    def answers(self) -> bool | None:
        """Whether any of its latest calls got an answer; None without calls."""
        outcomes = self.now.calls.outcomes
        return bool(outcomes.get("ok")) if self.now.calls.failed.n else None


def providers(workspace: Workspace, active: Sequence[ActiveRow]) -> list[ProviderLine]:
    """Those that the workspace may call, busy ones first; five queries."""
    now = now_ms()
    rows = provider_rows(now, calls_by_provider(latest_calls(now)), providers_for(workspace))
    running = [row.run for row in active if row.run.status == RunStatus.RUNNING]
    lines = [
        ProviderLine(row, [run for run in running if run.model and run.model.provider_id == row.provider.pk])
        for row in rows
    ]
    return sorted(lines, key=lambda line: (not line.runs, not line.now.hold))[:PROVIDERS_SHOWN]


@dataclass(frozen=True, slots=True)
class Week:
    """Runs that ended within the last seven days, and their items."""

    completed: int
    failed: int
    canceled: int
    scored: int
    retried: int
    errored: int


def week(workspace: Workspace) -> Week:
    """One query."""
    ended = listed(workspace).filter(finished_at__gt=timezone.now() - WEEK).order_by()
    counts = {
        status: Count("pk", filter=Q(status=status))
        for status in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELED)
    }
    sums = {
        "scored": Sum("done", default=0),
        "again": Sum("retried", default=0),
        "left": Sum("errored", default=0),
    }
    found = ended.aggregate(**{str(status): count for status, count in counts.items()}, **sums)
    return Week(
        found["completed"], found["failed"], found["canceled"], found["scored"], found["again"], found["left"]
    )


def activity(workspace: Workspace) -> list[AuditEvent]:
    """What people did lately, without what only its owners concerns; one query."""
    owners = reduce(or_, (Q(action__startswith=f"{noun}.") for noun in OF_OWNERS))
    events = AuditEvent.objects.filter(workspace=workspace).exclude(owners)
    return list(events.order_by("-id")[:ACTIVITY_SHOWN])
