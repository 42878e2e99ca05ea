"""What the gates of all processes agree on, through the database: shares, pauses, and the circuit.

Once a second each process says in one short transaction how many calls it wants at a provider and what
it has learned of it, and reads its share. A provider's hold row is locked meanwhile, so that the places
given out never come to more than its limit. All moments in rows are by the database's clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from django.db import transaction

from registry.models import Provider
from runs.engine.circuit import OPENS_AFTER, open_s
from runs.engine.clock import now_ms
from runs.models import ProviderDemand, ProviderHold

PROBE_MS = 10_000  # a probe's hold on the circuit, renewed while it is out
DEMAND_MS = 5_000
TURN_MS = 3_000  # where processes are more than places
ROOM, ROOM_LEAST = 2, 16  # times what a process wants: what is beyond that is there for who comes next
ASKED = "it asked for a pause"


@dataclass(slots=True)
class News:
    """What a gate has learned since its last report; moments by this process's monotonic clock."""

    closed_until: float = 0.0
    answered: bool = False
    failed: int = 0  # since the last answer
    opened_until: float = 0.0
    reason: str = ""
    verdict: str = ""  # of the probe: ok | failed

    def then(self, later: "News") -> "News":
        """Both, as one."""
        return News(
            closed_until=max(self.closed_until, later.closed_until),
            answered=self.answered or later.answered,
            failed=later.failed + (0 if later.answered else self.failed),
            opened_until=later.opened_until or (0.0 if later.verdict else self.opened_until),
            reason=later.reason or self.reason,
            verdict=later.verdict or self.verdict,
        )


@dataclass(frozen=True, slots=True)
class Report:
    """How a process stands at one provider. `part` of its share is what it uses; 429 lowers it from 1."""

    provider_id: int
    concurrency: int
    wanted: int
    part: float
    width: int
    in_flight: int
    queued: int
    newcomer: bool = False
    probing: bool = False
    news: News = field(default_factory=News)
    at: float = field(default_factory=monotonic)


@dataclass(frozen=True, slots=True)
class Orders:
    """A process's share at one provider, the places of it that are its own now, and what holds everyone."""

    share: int
    places: int
    owed: bool = False  # others hold places that are this process's by now: their next sync frees them
    rate_share: float = 1.0
    throttle: float = 1.0  # the part that a newcomer starts with: the others were told to slow down
    closed_s: float = 0.0
    open_s: float | None = None  # None: the circuit is closed
    sends_probe: bool = False
    failures: int = 0
    reason: str = ""


def shares(wanted: Mapping[str, int], places: int, turn: int = 0) -> dict[str, int]:
    """The places by owner: one each and the rest as they want; who are more than the places take turns."""
    owners = sorted(wanted)
    if len(owners) > places:
        return {owner: int((at - turn * places) % len(owners) < places) for at, owner in enumerate(owners)}
    rest, total = places - len(owners), sum(wanted.values())
    exact = {owner: rest * wanted[owner] / total for owner in owners}
    given = {owner: 1 + int(exact[owner]) for owner in owners}
    by_remainder = sorted(owners, key=lambda owner: (int(exact[owner]) - exact[owner], owner))
    for owner in by_remainder[: places - sum(given.values())]:
        given[owner] += 1
    return given


def exchange(owner: str, reports: Sequence[Report]) -> dict[int, Orders]:
    """Writes what this process wants and has learned; returns its orders by provider.

    A provider without a row (an endpoint of no provider, or one just deleted) gets none.
    """
    by_provider = {report.provider_id: report for report in reports}
    with transaction.atomic():
        holds = _locked_holds(by_provider)
        now = now_ms()
        demands = list(ProviderDemand.objects.filter(provider__in=holds))
        orders, own = {}, []
        for provider_id, hold in holds.items():
            report = by_provider[provider_id]
            others = [d for d in demands if d.provider_id == provider_id and d.owner != owner]
            order, row = _divide(owner, report, [d for d in others if d.until_ms >= now], now)
            own.append(row)
            if settle(hold, owner, report, now):
                hold.save(update_fields=_HOLD_FIELDS)
            orders[provider_id] = _with_hold(order, hold, owner, now)
        _write(owner, own, demands, now)
    return orders


_HOLD_FIELDS = ["closed_until_ms", "open_until_ms", "failures", "probe_owner", "reason"]


def _locked_holds(by_provider: Mapping[int, Report]) -> dict[int, ProviderHold]:
    """In one order for everybody, so that none deadlock."""
    rows = ProviderHold.objects.select_for_update().filter(provider__in=by_provider).order_by("provider_id")
    holds = {hold.provider_id: hold for hold in rows}
    if new := by_provider.keys() - holds:
        known = Provider.objects.filter(pk__in=new).values_list("pk", flat=True)
        made = [ProviderHold(provider_id=provider_id) for provider_id in sorted(known)]
        if made:
            ProviderHold.objects.bulk_create(made, ignore_conflicts=True)
            holds = {hold.provider_id: hold for hold in rows.all()}
    return holds


def _divide(
    owner: str, report: Report, others: Sequence[ProviderDemand], now: int
) -> tuple[Orders, ProviderDemand]:
    """This process's share, of which it takes what it may need and the others do not hold at present."""
    wanted = {demand.owner: demand.wanted for demand in others} | {owner: max(1, report.wanted)}
    targets = shares(wanted, report.concurrency, now // TURN_MS)
    held = sum(max(int(demand.limit), demand.in_flight) for demand in others)
    share, at_least = targets[owner], int(len(wanted) <= report.concurrency)
    most = min(share, max(ROOM_LEAST, ROOM * report.wanted)) if report.wanted else share
    idle = others and not report.wanted  # then enough for a first call
    places = at_least if idle else min(most, max(report.concurrency - held, at_least))
    weights = sum(wanted[each] for each, given in targets.items() if given)
    order = Orders(
        share,
        places,
        owed=bool(report.wanted) and places < most,
        rate_share=wanted[owner] / weights if share else 1.0,
        throttle=_weighted(others),
    )
    part = min(report.part, order.throttle) if report.newcomer else report.part
    # Until these orders are obeyed, calls that queue may still take the places of the last ones.
    limit = max(min(places, max(1.0, share * part)), min(report.width, report.in_flight + report.queued))
    row = ProviderDemand(
        provider_id=report.provider_id,
        owner=owner,
        wanted=report.wanted,
        limit=limit,
        part=part,
        in_flight=report.in_flight,
        until_ms=now + DEMAND_MS,
    )
    return order, row


def _weighted(others: Sequence[ProviderDemand]) -> float:
    """The part that they use, each by what it wants. Not by what they hold: that may be little for other
    reasons, such as a process that has just left."""
    wanted = sum(demand.wanted for demand in others)
    return sum(demand.wanted * demand.part for demand in others) / wanted if wanted else 1.0


def _write(owner: str, own: list[ProviderDemand], known: list[ProviderDemand], now: int) -> None:
    """Rows of what is wanted; those of nothing, and of processes long gone, go away."""
    gone = {row.provider_id for row in own if not row.wanted}
    old = [
        d.pk for d in known if (d.owner == owner and d.provider_id in gone) or d.until_ms < now - DEMAND_MS
    ]
    if old:
        ProviderDemand.objects.filter(pk__in=old).delete()
    ProviderDemand.objects.bulk_create(
        [row for row in own if row.wanted],
        update_conflicts=True,
        unique_fields=["provider", "owner"],
        update_fields=["wanted", "limit", "part", "in_flight", "until_ms"],
    )


def settle(hold: ProviderHold, owner: str, report: Report, now: int) -> bool:
    """Brings the hold up to what this process has learned, and gives it the probe if that is due.

    True when the row has changed.
    """
    before = [getattr(hold, name) for name in _HOLD_FIELDS]
    news = report.news
    if news.closed_until:
        hold.closed_until_ms = max(hold.closed_until_ms, _moment(news.closed_until, report, now))
    if hold.open_until_ms and hold.probe_owner == owner:
        _settle_probe(hold, report, now)
    elif not hold.open_until_ms:
        _count(hold, report, now)
    if hold.open_until_ms and hold.open_until_ms <= now and report.queued:
        hold.probe_owner, hold.open_until_ms = owner, now + PROBE_MS
    if not hold.open_until_ms:
        hold.reason = ASKED if hold.closed_until_ms > now else ""
    return before != [getattr(hold, name) for name in _HOLD_FIELDS]


def _settle_probe(hold: ProviderHold, report: Report, now: int) -> None:
    news = report.news
    if news.verdict == "ok":
        hold.open_until_ms, hold.failures, hold.probe_owner = 0, 0, ""
        _count(hold, report, now)
    elif news.verdict == "failed":
        hold.failures, hold.probe_owner = hold.failures + 1, ""
        hold.open_until_ms, hold.reason = _moment(news.opened_until, report, now), news.reason
    elif report.probing:
        hold.open_until_ms = now + PROBE_MS
    else:  # it was taken back before it was sent
        hold.open_until_ms, hold.probe_owner = now, ""


def _count(hold: ProviderHold, report: Report, now: int) -> None:
    """Failures in a row over all processes open the circuit, also where no process has seen enough alone."""
    news = report.news
    hold.failures = (0 if news.answered else hold.failures) + news.failed
    if news.opened_until or hold.failures >= OPENS_AFTER:
        hold.failures, hold.probe_owner = OPENS_AFTER, ""
        hold.reason = news.reason or f"{OPENS_AFTER} calls in a row failed"
        until = _moment(news.opened_until, report, now)
        hold.open_until_ms = until if news.opened_until else now + round(open_s(OPENS_AFTER) * 1000)


def _moment(until: float, report: Report, now: int) -> int:
    """A moment of the process's clock by the database's."""
    return max(1, now + round((until - report.at) * 1000))


def _with_hold(order: Orders, hold: ProviderHold, owner: str, now: int) -> Orders:
    return replace(
        order,
        closed_s=max(0, hold.closed_until_ms - now) / 1000,
        open_s=max(0, hold.open_until_ms - now) / 1000 if hold.open_until_ms else None,
        sends_probe=bool(hold.open_until_ms) and hold.probe_owner == owner,
        failures=hold.failures,
        reason=hold.reason,
    )


def leave(owner: str) -> None:
    """The process ends: what it held goes to the others."""
    with transaction.atomic():
        ProviderHold.objects.filter(probe_owner=owner).update(probe_owner="", open_until_ms=now_ms())
        ProviderDemand.objects.filter(owner=owner).delete()
