"""Ceilings in money and tokens: held back for each call before it goes out, so that none is passed.

What is held back stands on the leased trial itself. The sum is taken under the lock of the run's
row, or of the workspace's month, so it holds over all processes, and a dead one leaks nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from runs.engine.leases import canceled_in_flight
from runs.engine.rowset import encode, rowset, unestimated
from runs.models import MonthlySpend, Run, Trial, TrialState


@dataclass(frozen=True, slots=True)
class Amount:
    """Dollars and tokens."""

    cost: Decimal = Decimal(0)
    tokens: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.cost + other.cost, self.tokens + other.tokens)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """None where there is no limit."""

    cost: Decimal | None
    tokens: int | None

    def admits(self, amount: Amount) -> bool:
        return (self.cost is None or amount.cost <= self.cost) and (
            self.tokens is None or amount.tokens <= self.tokens
        )

    def __bool__(self) -> bool:
        return self.cost is not None or self.tokens is not None


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Of a run, and of its workspace's month."""

    run_id: int
    workspace_id: int
    run: Ceiling
    month: Ceiling


def ceilings_of(run: Run) -> Ceilings | None:
    """Loads the workspace; None when nothing limits the run."""
    workspace = run.workspace
    found = Ceilings(
        run.pk,
        run.workspace_id,
        Ceiling(run.cost_ceiling, run.token_ceiling),
        Ceiling(workspace.monthly_cost_ceiling, workspace.monthly_token_ceiling),
    )
    return found if found.run or found.month else None


def fitting(ceilings: Ceilings, wanted: Sequence[tuple[int, Amount]]) -> tuple[list[int], str]:
    """Holds back what the trials (id, at most) need, in order, while it fits; returns those that go out, and
    words when none does and none ever will. In the caller's transaction, which holds the run's row."""
    scopes = [
        scope
        for scope in (_run_scope(ceilings), _month_scope(ceilings) if ceilings.month else None)
        if scope is not None
    ]
    held: list[tuple[int, Amount]] = []
    taken = Amount()
    for trial_id, amount in wanted:
        if not all(
            ceiling.admits(spent + reserved + taken + amount) for ceiling, spent, reserved, _ in scopes
        ):
            break
        held.append((trial_id, amount))
        taken += amount
    _hold(held)
    if held or not wanted:
        return [trial_id for trial_id, _ in held], ""
    return [], _words(scopes, wanted[0][1])


Scope = tuple[Ceiling, Amount, Amount, str]


def _run_scope(ceilings: Ceilings) -> Scope | None:
    if not ceilings.run:
        return None
    cost, inputs, outputs = Run.objects.values_list("cost", "input_tokens", "output_tokens").get(
        pk=ceilings.run_id
    )
    spent = Amount(cost or Decimal(0), inputs + outputs)
    return ceilings.run, spent, _reserved(run_id=ceilings.run_id), "run"


def _month_scope(ceilings: Ceilings) -> Scope:
    month = timezone.now().date().replace(day=1)
    spend, _ = MonthlySpend.objects.get_or_create(workspace_id=ceilings.workspace_id, month=month)
    spend = MonthlySpend.objects.select_for_update().get(pk=spend.pk)
    reserved = reserved_in(ceilings.workspace_id)
    return ceilings.month, Amount(spend.cost, spend.tokens), reserved, f"{month:%B %Y}"


def reserved_in(workspace_id: int) -> Amount:
    """What is held back for calls of the workspace's runs."""
    return _reserved(run__workspace_id=workspace_id)


def _reserved(**of: int) -> Amount:
    """Also for calls that were out when their run was canceled: their answers are paid for."""
    sums = Trial.objects.filter(state=TrialState.LEASED, **of).aggregate(
        cost=Sum("reserved_cost"), tokens=Sum("reserved_tokens")
    )
    held = Amount(Decimal(sums["cost"] or 0), sums["tokens"] or 0)
    for cost, tokens, *of_row in canceled_in_flight("reserved_cost", "reserved_tokens", *of):
        held += Amount(cost, tokens) if of_row == [*of.values()] else Amount()
    return held


def _hold(held: Sequence[tuple[int, Amount]]) -> None:
    rows = [{"trial": pk, "cost": str(amount.cost), "tokens": amount.tokens} for pk, amount in held]
    columns = {"trial": "bigint", "cost": "numeric", "tokens": "bigint"}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE runs_trial SET reserved_tokens = v.tokens, reserved_cost = CAST(v.cost AS numeric)
            FROM {rowset(columns)}
            WHERE runs_trial.id = v.trial AND {unestimated("runs_trial.state = 'leased'")}
            """,  # noqa: S608 (constants only)
            [encode(rows)],
        )


def _words(scopes: Sequence[Scope], amount: Amount) -> str:
    """Empty while calls are in flight whose end may make room."""
    for ceiling, spent, reserved, where in scopes:
        if ceiling.admits(spent + reserved + amount):
            continue
        if reserved != Amount():
            return ""
        said = reached(ceiling, spent, amount, "the next item")
        if where == "run":
            return f"The run's ceiling of {said} Raise the ceiling, then resume."
        return (
            f"The workspace's ceiling for {where} of {said} "
            "An administrator can raise it in the admin; resume then, or next month."
        )
    return ""


def reached(ceiling: Ceiling, spent: Amount, amount: Amount, what: str) -> str:
    """How a ceiling that does not admit the amount as well is told, from its figure on."""
    if ceiling.cost is not None and spent.cost + amount.cost > ceiling.cost:
        return (
            f"${ceiling.cost:,.2f} is reached: ${spent.cost:,.4f} is spent "
            f"and {what} may take ${amount.cost:,.4f}."
        )
    return (
        f"{ceiling.tokens:,} tokens is reached: {spent.tokens:,} are used "
        f"and {what} may take {amount.tokens:,}."
    )
