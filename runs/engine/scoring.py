"""Scores of responses by the run's scorers.

Most take microseconds and are given with their batch, on the database thread: the loop belongs to all
calls of the process, and after an answer the next call comes first. What may take long has a thread.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from judges.scorers import Scorer, Subject, Verdict
from judges.scorers.base import unscored
from runs.engine.outcomes import Outcome
from runs.engine.plan import Plan, Work

Scorers = Sequence[tuple[str, Scorer[Any]]]
logger = logging.getLogger(__name__)


async def to_be_scored(plan: Plan, work: Work, outcome: Outcome) -> Outcome:
    """The outcome with its verdicts, or with what `score` needs for them."""
    subject = Subject(
        outcome.response,
        work.references,
        work.choices,
        work.prompt,
        work.metadata,
        outcome.latency_ms,
        outcome.cost,
    )
    if any(scorer.blocks for _, scorer in plan.scorers):
        outcome.verdicts = await asyncio.to_thread(_verdicts, plan.scorers, subject)
    else:
        outcome.subject = subject
    return outcome


def score(scorers: Scorers, batch: Iterable[Outcome]) -> None:
    """Gives those their verdicts that wait for them."""
    for outcome in batch:
        if outcome.subject is not None:
            outcome.verdicts = _verdicts(scorers, outcome.subject)
            outcome.subject = None


def _verdicts(scorers: Scorers, subject: Subject) -> list[tuple[str, Verdict]]:
    return [(name, _verdict(name, scorer, subject)) for name, scorer in scorers]


def _verdict(name: str, scorer: Scorer[Any], subject: Subject) -> Verdict:
    """A scorer's own failure leaves the response, which is paid for, on record."""
    try:
        return scorer.score(subject)
    except Exception as error:
        logger.exception("scorer %s", name)
        return unscored("the scorer failed", explanation=repr(error))
