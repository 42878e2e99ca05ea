"""Calls that belong to no run, as of a judge's preview: counted in the workspace's month, under its ceilings.

The most that they may take is counted before they go out, and corrected by what they took. A process that
dies in between leaves it counted: it may have been paid for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from judges.spending import MonthIsSpent, Used, Wanted
from registry.models import RegisteredModel
from runs.engine.asking import input_tokens, output_limit
from runs.engine.budgets import Amount, Ceiling, reached, reserved_in
from runs.engine.plan import ASSUMED_ANSWER
from runs.models import MonthlySpend
from workspaces.models import Workspace


@dataclass(frozen=True, slots=True)
class Held:
    """What was counted for each call, and in which month's row."""

    spend_id: int
    models: Sequence[RegisteredModel]
    amounts: Sequence[Amount]


class MonthPurse:
    """`judges.spending.Purse` over MonthlySpend."""

    def __init__(self, workspace_id: int):
        self.workspace_id = workspace_id

    def hold(self, wanted: Sequence[Wanted]) -> Held:
        amounts = [_most(each) for each in wanted]
        total = sum(amounts, Amount())
        month = timezone.now().date().replace(day=1)
        with transaction.atomic():
            row, _ = MonthlySpend.objects.get_or_create(workspace_id=self.workspace_id, month=month)
            row = MonthlySpend.objects.select_for_update().get(pk=row.pk)
            workspace = Workspace.objects.get(pk=self.workspace_id)
            ceiling = Ceiling(workspace.monthly_cost_ceiling, workspace.monthly_token_ceiling)
            spent, reserved = Amount(row.cost, row.tokens), reserved_in(self.workspace_id)
            if not ceiling.admits(spent + reserved + total):
                what = "this call" if len(wanted) == 1 else f"these {len(wanted)} calls"
                said = reached(ceiling, spent + reserved, total, what)
                raise MonthIsSpent(
                    f"The workspace's ceiling for {month:%B %Y} of {said} "
                    "An administrator can raise it in the admin; or ask next month."
                )
            _add(row.pk, total, calls=len(wanted))
        return Held(row.pk, [each.model for each in wanted], amounts)

    def settle(self, held: object, used: Sequence[Used]) -> None:
        assert isinstance(held, Held)
        took = [_taken(model, each) for model, each in zip(held.models, used, strict=True)]
        before, after = sum(held.amounts, Amount()), sum(took, Amount())
        _add(held.spend_id, Amount(after.cost - before.cost, after.tokens - before.tokens))


def _most(wanted: Wanted) -> Amount:
    """By the same rule as a run's calls: an upper estimate of the messages, and the answer's limit."""
    answer = 0 if wanted.model.embeds else output_limit(wanted.params) or ASSUMED_ANSWER
    asked = input_tokens(wanted.messages)
    return Amount(_cost(wanted.model, asked, answer), asked + answer)


def _taken(model: RegisteredModel, used: Used) -> Amount:
    asked, answered = used.input_tokens or 0, used.output_tokens or 0
    return Amount(_cost(model, asked, answered), asked + answered)


def _cost(model: RegisteredModel, asked: int, answered: int) -> Decimal:
    """Dollars; calls without a known price count in tokens alone. Vectors cost what their texts cost."""
    answer_price = Decimal(0) if model.embeds else model.output_price
    if model.input_price is None or answer_price is None:
        return Decimal(0)
    return (asked * model.input_price + answered * answer_price) / 1_000_000


def _add(spend_id: int, amount: Amount, calls: int = 0) -> None:
    MonthlySpend.objects.filter(pk=spend_id).update(
        cost=F("cost") + amount.cost, tokens=F("tokens") + amount.tokens, calls=F("calls") + calls
    )
