"""From leases to work: what is asked, what an earlier answer settles, and what a ceiling holds back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db import transaction

from runs.engine import budgets
from runs.engine.leases import Claimed, give_back, lock_run, open_attempts
from runs.engine.loading import load_work
from runs.engine.plan import Answer, Plan, Work
from runs.models import Trial, TrialState


@dataclass(frozen=True, slots=True)
class Claims:
    """Work to do; `held_back` tells that a ceiling lets no more out now, and `reason` that it never will."""

    work: list[Work]
    held_back: bool = False
    reason: str = ""


def prepare(plan: Plan, claimed: Sequence[Claimed]) -> Claims:
    """Puts the calls on record that may go out; gives back what must not. Safe to repeat."""
    work = load_work(plan, claimed)
    if plan.cache_scope is not None:
        work = _with_answers(work)
    asking = [each for each in work if each.asks]
    if not asking:
        return Claims(work)
    with transaction.atomic():
        lock_run(plan.run_id)
        going, reason = _fitting(plan, asking)
        open_attempts([each.trial for each in asking if each.trial.id in going])
    staying = [each.trial for each in asking if each.trial.id not in going]
    give_back(plan.run_id, staying, plan.calls)
    kept = [each for each in work if not each.asks or each.trial.id in going]
    return Claims(kept, held_back=bool(staying), reason=reason)


def _fitting(plan: Plan, asking: Sequence[Work]) -> tuple[set[int], str]:
    """Trials whose calls the ceilings let out, and words when they never will."""
    if plan.ceilings is None:
        return {each.trial.id for each in asking}, ""
    ids, reason = budgets.fitting(plan.ceilings, [(each.trial.id, _most(plan, each)) for each in asking])
    return set(ids), reason


def _most(plan: Plan, work: Work) -> budgets.Amount:
    """What the call may take at most, as far as can be told before."""
    cost = plan.cost(work.tokens - plan.answer_tokens, plan.answer_tokens)
    return budgets.Amount(cost or budgets.Amount().cost, work.tokens)


def _with_answers(work: Sequence[Work]) -> list[Work]:
    keys = {each.cache_key for each in work if each.cache_key}
    known = Trial.objects.filter(cache_key__in=keys, state=TrialState.DONE).exclude(response="")
    answers = {
        key: Answer(text, finish_reason)
        for key, text, finish_reason in known.order_by("-id").values_list(
            "cache_key", "response", "finish_reason"
        )
    }
    return [
        replace(each, answer=answers.get(each.cache_key)) if each.cache_key and not each.answer else each
        for each in work
    ]
