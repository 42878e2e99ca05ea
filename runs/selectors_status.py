"""What the status page and the metrics tell of the whole installation: counters and index reads alone.

`now` is the database's clock in ms. Nothing here reads all trials or attempts of a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, Exists, F, FloatField, Min, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Lower

from judges.metrics import Estimate, proportion
from registry.models import Provider
from runs.models import (
    Attempt,
    ProviderDemand,
    ProviderHold,
    PumpLease,
    Run,
    RunStatus,
    Trial,
    TrialState,
    Worker,
)
from runs.selectors_surroundings import Surroundings, surroundings

ALIVE_MS = 20_000
REMEMBERED_MS = 3_600_000
ROWS = 100
CALLS_READ = 2_000
CALLS_WITHIN = timedelta(minutes=5)
RATE_WITHIN = timedelta(minutes=1)
WAITING_COUNTED = 50_000
AT_WORK = (RunStatus.PENDING, RunStatus.RUNNING)
NOT_THE_PROVIDERS = ("open", "ok", "lost", "not_sent", "template")


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


@dataclass(frozen=True)
class WorkerRow:
    """A process with an engine; gone when it has not reported for 20 s."""

    worker: Worker
    seen_s: float

    @property
    def is_alive(self) -> bool:
        return self.seen_s * 1000 <= ALIVE_MS

    @property
    def seen_at(self) -> datetime:
        return at(self.worker.seen_ms)

    @property
    def host(self) -> str:
        """The machine without its space of process numbers."""
        return self.worker.machine.partition("/")[0]


@dataclass(frozen=True)
class Work:
    """Runs by status, and trials by state: of runs that are pending or running, unless said otherwise."""

    runs: Mapping[str, int]
    without_worker: int
    pending: int
    leased: int
    waiting: int
    paused: int  # trials left in paused runs
    done: int  # of all runs, as are the next two
    errored: int
    canceled: int
    oldest_lease_s: float | None  # since it was last renewed; past ENGINE_LEASE_S its worker is lost

    @property
    def left(self) -> int:
        return self.pending + self.leased + self.waiting

    @property
    def active(self) -> int:
        return sum(self.runs.get(status, 0) for status in AT_WORK)

    @property
    def waiting_is_least(self) -> bool:
        return self.waiting >= WAITING_COUNTED

    @property
    def lease_ran_out(self) -> bool:
        return self.oldest_lease_s is not None and self.oldest_lease_s > settings.ENGINE_LEASE_S


@dataclass(frozen=True)
class Calls:
    """The latest calls of a provider: at most 2,000 of all providers, none older than 5 minutes."""

    outcomes: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> Estimate:
        """The share that the provider failed; what a lost worker left open is nobody's failure."""
        failed = sum(n for outcome, n in self.outcomes.items() if outcome not in NOT_THE_PROVIDERS)
        return proportion(failed, failed + self.outcomes.get("ok", 0))

    @property
    def most_frequent(self) -> str:
        kinds = {name: n for name, n in self.outcomes.items() if name not in NOT_THE_PROVIDERS}
        return max(kinds, key=lambda name: kinds[name]).replace("_", " ") if kinds else ""


@dataclass(frozen=True)
class ProviderRow:
    """A provider as the workers treat it now. `hold` is "", "pause", "open" or "probe"."""

    provider: Provider
    hold: str
    held_s: float
    reason: str
    in_flight: int
    limit: int
    calls: Calls

    @property
    def held_until(self) -> datetime | None:
        return at(self.hold_ms) if self.held_s else None

    @property
    def hold_ms(self) -> int:
        hold = hold_of(self.provider)
        return max(hold.closed_until_ms, hold.open_until_ms) if hold else 0


@dataclass(frozen=True)
class Status:
    """Everything at one moment."""

    now: datetime
    workers: Sequence[WorkerRow]
    work: Work
    providers: Sequence[ProviderRow]
    more_providers: bool
    answers_per_minute: float
    surroundings: Surroundings

    @property
    def alive(self) -> list[WorkerRow]:
        return [row for row in self.workers if row.is_alive]

    @property
    def gone(self) -> int:
        return len(self.workers) - len(self.alive)

    @property
    def in_flight(self) -> int:
        return sum(row.worker.in_flight for row in self.alive)

    @property
    def memory_bytes(self) -> int:
        return sum(row.worker.memory_mb for row in self.alive) << 20


def read(now: int) -> Status:
    """A dozen queries, whatever the size of runs."""
    latest = latest_calls(now)
    found = provider_rows(now, calls_by_provider(latest))
    return Status(
        now=at(now),
        workers=worker_rows(now),
        work=work(now),
        providers=found[:ROWS],
        more_providers=len(found) > ROWS,
        answers_per_minute=answers_per_minute(latest, now),
        surroundings=surroundings(),
    )


def worker_rows(now: int) -> list[WorkerRow]:
    """The living and those that were within the hour, in the order of their start: no row jumps."""
    rows = Worker.objects.filter(seen_ms__gt=now - REMEMBERED_MS).order_by("-seen_ms")[:ROWS]
    found = [WorkerRow(row, max(0, now - row.seen_ms) / 1000) for row in rows]
    return sorted(found, key=lambda row: (row.worker.started_at, row.worker.pk))


# It has judged all responses so far and waits for more, without a process.
IDLE_JUDGING = Q(judged__isnull=False, total=F("done") + F("errored") + F("canceled"))


def work(now: int) -> Work:
    """Four queries: sums of counters, and counts over partial or state indexes."""
    counters = ("total", "done", "errored", "canceled")
    sums = {f"{name}_sum": Sum(name) for name in counters}
    grouped = Run.objects.order_by().values("status").annotate(n=Count("pk"), **sums)
    rows: dict[str, Any] = {row["status"]: row for row in grouped}

    def summed(name: str, statuses: Sequence[str]) -> int:
        return sum(rows[status][f"{name}_sum"] for status in statuses if status in rows)

    def left(statuses: Sequence[str]) -> int:
        ended = sum(summed(name, statuses) for name in counters[1:])
        return max(0, summed("total", statuses) - ended)

    at_work = PumpLease.objects.filter(run=OuterRef("pk"), until_ms__gte=now)
    active = Run.objects.filter(status__in=AT_WORK)
    leases = leased_trials().aggregate(
        n=Count("lease_until_ms"), first=Min("lease_until_ms", filter=Q(lease_until_ms__gt=0))
    )
    waiting = waiting_trials(active)
    return Work(
        runs={status: row["n"] for status, row in rows.items()},
        without_worker=active.exclude(IDLE_JUDGING).filter(~Exists(at_work)).count(),
        pending=max(0, left(AT_WORK) - leases["n"] - waiting),
        leased=leases["n"],
        waiting=waiting,
        paused=left([RunStatus.PAUSED]),
        done=summed("done", [*rows]),
        errored=summed("errored", [*rows]),
        canceled=summed("canceled", [*rows]),
        oldest_lease_s=lease_age_s(leases["first"], now),
    )


def lease_age_s(until_ms: int | None, now: int) -> float | None:
    """Seconds since the lease was taken or renewed."""
    return None if until_ms is None else max(0.0, settings.ENGINE_LEASE_S - (until_ms - now) / 1000)


def leased_trials() -> QuerySet[Trial]:
    """By the partial index of leases."""
    return Trial.objects.order_by().filter(state=TrialState.LEASED)


def waiting_trials(runs: QuerySet[Run]) -> int:
    """By the index of states, at most WAITING_COUNTED of them."""
    rows = Trial.objects.order_by().filter(run__in=runs.values("pk"), state=TrialState.WAITING)
    return rows.values("pk")[:WAITING_COUNTED].count()


# Providers


def hold_of(provider: Provider) -> ProviderHold | None:
    return getattr(provider, "hold", None)


def provider_rows(
    now: int, calls: Mapping[int, Calls], among: QuerySet[Provider] | None = None
) -> list[ProviderRow]:
    """Active providers by name, all or those among some, one more than are shown; two queries."""
    among = Provider.objects.filter(is_active=True) if among is None else among
    rows = among.select_related("workspace", "hold")
    demands = ProviderDemand.objects.filter(until_ms__gt=now).order_by().values("provider")
    sums = demands.annotate(
        flying=Sum("in_flight"),
        borne=Sum(F("part") * F("wanted"), output_field=FloatField()) / Sum("wanted"),
    )
    demand = {row["provider"]: row for row in sums}
    found = rows.order_by(Lower("name"), "pk")[: ROWS + 1]
    return [provider_row(row, now, demand.get(row.pk), calls.get(row.pk, Calls())) for row in found]


def provider_row(provider: Provider, now: int, demand: Mapping[str, Any] | None, calls: Calls) -> ProviderRow:
    kept = hold_of(provider)
    closed, opened = (kept.closed_until_ms, kept.open_until_ms) if kept else (0, 0)
    hold = "open" if opened > now else "pause" if closed > now else "probe" if opened else ""
    return ProviderRow(
        provider=provider,
        hold=hold,
        held_s=max(0, max(closed, opened) - now) / 1000,
        reason=kept.reason if kept and hold else "",
        in_flight=demand["flying"] if demand else 0,
        limit=max(1, int(provider.concurrency * demand["borne"] + 1e-9)) if demand else provider.concurrency,
        calls=calls,
    )


# Calls


@dataclass(frozen=True)
class LatestCalls:
    """The last 2,000 calls by id that are younger than 5 minutes, grouped by provider and outcome."""

    rows: Sequence[Mapping[str, Any]]
    all_of_them: bool  # whether no call of those 5 minutes is left out

    @property
    def first(self) -> datetime | None:
        return min((row["first"] for row in self.rows), default=None)


def latest_calls(now: int) -> LatestCalls:
    """Three queries by primary key."""
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    minute_ago = at(now) - RATE_WITHIN
    rows = Attempt.objects.order_by().filter(
        pk__gt=newest - CALLS_READ, started_at__gte=at(now) - CALLS_WITHIN
    )
    grouped = rows.values("run__model__provider", "outcome").annotate(
        n=Count("pk"),
        first=Min("started_at"),
        answered=Count("pk", filter=Q(outcome="ok", finished_at__gte=minute_ago)),
    )
    left_out = Attempt.objects.order_by("-pk").filter(pk__lte=newest - CALLS_READ)
    before = left_out.values_list("started_at", flat=True).first()
    return LatestCalls(list(grouped), before is None or before < at(now) - CALLS_WITHIN)


def calls_by_provider(latest: LatestCalls) -> dict[int, Calls]:
    found: dict[int, dict[str, int]] = {}
    for row in latest.rows:
        if row["run__model__provider"]:
            found.setdefault(row["run__model__provider"], {})[row["outcome"]] = row["n"]
    return {provider: Calls(outcomes) for provider, outcomes in found.items()}


def answers_per_minute(latest: LatestCalls, now: int) -> float:
    """Counted over the last minute; when 2,000 calls do not reach back to before those that may have ended
    in it, their starts tell the pace."""
    first = latest.first
    if first is None:
        return 0.0
    span_s = (at(now) - first).total_seconds()
    if latest.all_of_them or span_s >= 2 * RATE_WITHIN.total_seconds():
        return float(sum(row["answered"] for row in latest.rows))
    ended = sum(row["n"] for row in latest.rows if row["outcome"] != "open")
    good = sum(row["n"] for row in latest.rows if row["outcome"] == "ok")
    started = sum(row["n"] for row in latest.rows)
    return 60 * started / max(span_s, 1.0) * good / ended if ended else 0.0


def attempts_ever() -> int:
    """Calls ever put on record, also of deleted runs: the sequence that numbers them."""
    sql = {
        "sqlite": "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'runs_attempt'",
        "postgresql": "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM runs_attempt_id_seq",
    }
    with connection.cursor() as cursor:
        cursor.execute(sql[connection.vendor])
        return int(cursor.fetchone()[0])
