"""Ceilings of a run: which may be set, and raising them on a run that waits at one."""

from collections.abc import Sequence
from decimal import Decimal

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from evalportal.lib.ui import money, number
from runs import live
from runs.engine.leases import lock_run
from runs.models import LogLine, Run, RunStatus
from runs.selectors_budget import paused_at_own_ceiling
from runs.services.control import CannotDo, run_resume
from workspaces import audit
from workspaces.access import Access

MOST_DOLLARS = Decimal(1_000_000_000)
MOST_TOKENS = 10**15
Problems = dict[str, list[str]]


class BadCeilings(Exception):
    """`problems` maps cost_ceiling or token_ceiling to messages for people."""

    def __init__(self, problems: Problems):
        self.problems = problems
        super().__init__(
            "; ".join(
                f"{name.replace('_', ' ').capitalize()}: {' '.join(texts)}"
                for name, texts in problems.items()
            )
        )


def ceiling_problems(
    cost: Decimal | None, tokens: int | None, *, calls: bool, unpriced: Sequence[str]
) -> Problems:
    """What is wrong with ceilings of dollars and tokens. `unpriced` names models without a price."""
    problems: Problems = {}
    if not calls:
        given = {"cost_ceiling": cost, "token_ceiling": tokens}
        return {
            name: ["Recorded responses make no calls: leave it empty."]
            for name, value in given.items()
            if value is not None
        }
    if cost is not None and not (cost.is_finite() and 0 < cost <= MOST_DOLLARS):
        problems["cost_ceiling"] = [f"Above 0, up to {MOST_DOLLARS:,} dollars."]
    elif cost is not None and cost != round(cost, 4):
        problems["cost_ceiling"] = ["At most four decimals."]
    elif cost is not None and unpriced:
        problems["cost_ceiling"] = [
            f"No price is known for {', '.join(unpriced)}, so its cost cannot be counted. "
            "Use a token ceiling, or let an administrator enter the price."
        ]
    if tokens is not None and not 1 <= tokens <= MOST_TOKENS:
        problems["token_ceiling"] = [f"From 1 to {MOST_TOKENS:,}."]
    return problems


def run_set_ceilings(
    access: Access, run: Run, *, cost: Decimal | None, tokens: int | None, resume: bool = True
) -> None:
    """Sets both ceilings (None: without one) of a run that waits; a paused one then goes on.

    Raises CannotDo or BadCeilings.
    """
    with transaction.atomic():
        lock_run(run.pk)
        now = Run.objects.get(pk=run.pk)
        if now.status == RunStatus.RUNNING:
            raise CannotDo("Pause the run first: its ceilings are read when it starts to work.")
        if now.is_finished:
            raise CannotDo("The run has ended, so a ceiling has nothing to hold.")
        problems = _problems_of(now, cost, tokens, resume)
        if problems:
            raise BadCeilings(problems)
        Run.objects.filter(pk=run.pk).update(
            cost_ceiling=cost, token_ceiling=tokens, sequence=F("sequence") + 1
        )
        words = " and ".join(
            [
                f"costs up to {money(cost)}" if cost is not None else "no cost ceiling",
                f"up to {number(tokens)} tokens" if tokens is not None else "no token ceiling",
            ]
        )
        LogLine.objects.create(
            run=run, at=timezone.now(), text=f"ceilings set by {access.actor_label}: {words}"
        )
        audit.record(
            access,
            "run.set_ceilings",
            f"run {run.pk}",
            cost_ceiling=None if cost is None else str(cost),
            token_ceiling=tokens,
            before={
                "cost_ceiling": None if now.cost_ceiling is None else str(now.cost_ceiling),
                "token_ceiling": now.token_ceiling,
            },
        )
        if resume and now.status == RunStatus.PAUSED:
            run_resume(access, run)
    live.notify(run)


def _problems_of(run: Run, cost: Decimal | None, tokens: int | None, resume: bool) -> Problems:
    frozen = run.config["model"]
    priced = frozen.get("input_price") is not None and frozen.get("output_price") is not None
    problems = ceiling_problems(
        cost,
        tokens,
        calls=run.config.get("responses") == "fresh",
        unpriced=[] if priced else [frozen["name"]],
    )
    spent = run.cost or Decimal(0)
    used = run.input_tokens + run.output_tokens
    if cost is not None and cost <= spent and "cost_ceiling" not in problems:
        problems["cost_ceiling"] = [f"More than the {money(spent)} that are spent already."]
    if tokens is not None and tokens <= used and "token_ceiling" not in problems:
        problems["token_ceiling"] = [f"More than the {number(used)} that are used already."]
    unchanged = (cost, tokens) == (run.cost_ceiling, run.token_ceiling)
    if resume and unchanged and not problems and paused_at_own_ceiling(run):
        name = "cost_ceiling" if cost is not None else "token_ceiling"
        problems[name] = ["It is that already, and the run waits at it: enter more."]
    return problems
