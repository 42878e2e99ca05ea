"""What is spent and what may be: a run against its ceilings, a workspace's month against its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.utils import timezone

from runs.models import MonthlySpend, Run, RunStatus
from workspaces.models import Workspace


@dataclass(frozen=True)
class Spent:
    """One ceiling and what is used of it. `unit` is "usd" or "tokens"; `whole` foretells the whole run;
    `estimated` where answers came without usage."""

    unit: str
    amount: Decimal
    ceiling: Decimal
    whole: Decimal | None = None
    estimated: bool = False

    @property
    def field(self) -> str:
        """The name of the ceiling on Run and in forms."""
        return "cost_ceiling" if self.unit == "usd" else "token_ceiling"

    @property
    def left(self) -> Decimal:
        return max(Decimal(0), self.ceiling - self.amount)

    @property
    def share(self) -> float:
        """Used part of the ceiling, 0 to 1."""
        return min(1.0, float(self.amount / self.ceiling)) if self.ceiling else 1.0


def run_spent(run: Run) -> list[Spent]:
    """A bar for each ceiling of the run; no query."""
    answered = run.done - run.cached
    rest = run.total - run.terminal
    bars = []
    for unit, amount, ceiling in (
        ("usd", run.cost or Decimal(0), run.cost_ceiling),
        ("tokens", Decimal(run.input_tokens + run.output_tokens), run.token_ceiling),
    ):
        if ceiling is not None:
            whole = amount + amount / answered * rest if answered > 0 and amount else None
            bars.append(Spent(unit, amount, Decimal(ceiling), whole, run.usage_estimated))
    return bars


def paused_at_own_ceiling(run: Run) -> bool:
    """Whether raising the run's ceiling is what lets it go on (not so for the workspace's month)."""
    if run.status != RunStatus.PAUSED or (run.cost_ceiling is None and run.token_ceiling is None):
        return False
    return run.status_reason.startswith("The run's ceiling")


@dataclass(frozen=True)
class Month:
    """A workspace's calls of this calendar month (UTC). Costs are dollars; no ceiling is None."""

    first_day: date
    cost: Decimal
    tokens: int
    calls: int
    cost_ceiling: Decimal | None
    token_ceiling: int | None

    @property
    def bars(self) -> Sequence[Spent]:
        found = (
            Spent("usd", self.cost, self.cost_ceiling) if self.cost_ceiling is not None else None,
            Spent("tokens", Decimal(self.tokens), Decimal(self.token_ceiling))
            if self.token_ceiling is not None
            else None,
        )
        return [bar for bar in found if bar]


def month_of(workspace: Workspace) -> Month:
    """One query."""
    first_day = timezone.now().date().replace(day=1)
    spend = MonthlySpend.objects.filter(workspace=workspace, month=first_day).first()
    return Month(
        first_day,
        spend.cost if spend else Decimal(0),
        spend.tokens if spend else 0,
        spend.calls if spend else 0,
        workspace.monthly_cost_ceiling,
        workspace.monthly_token_ceiling,
    )
