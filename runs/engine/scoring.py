"""Scores of responses by the run's scorers.

Most take microseconds and are given with their batch, on the database thread: the loop belongs to all
calls of the process, and after an answer the next call comes first. The database thread belongs to all
runs too, so it is had for a moment at a time. What may take long has a thread of its own.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from judges.scorers import Scorer, Subject, Verdict
from judges.scorers.base import unscored
from runs.engine.outcomes import Outcome
from runs.engine.plan import Plan, Work

LONG = 10_000  # characters of a response that some scorers need a fortieth of a second for
SCORE_WITHIN_S = 0.1  # meanwhile no lease of the process is renewed and no share agreed on
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
    if len(outcome.response) > LONG or any(scorer.blocks for _, scorer in plan.scorers):
        outcome.verdicts = await asyncio.to_thread(_verdicts, plan.scorers, subject)
    else:
        outcome.subject = subject
    return outcome


def score(scorers: Scorers, batch: Sequence[Outcome]) -> int:
    """Gives those their verdicts that wait for them, one at least. How many from the first on have theirs."""
    until = time.monotonic() + SCORE_WITHIN_S
    for number, outcome in enumerate(batch):
        if outcome.subject is not None:
            if number and time.monotonic() > until:
                return number
            outcome.verdicts = _verdicts(scorers, outcome.subject)
            outcome.subject = None
    return len(batch)


def _verdicts(scorers: Scorers, subject: Subject) -> list[tuple[str, Verdict]]:
    return [(name, _verdict(name, scorer, subject)) for name, scorer in scorers]


def _verdict(name: str, scorer: Scorer[Any], subject: Subject) -> Verdict:
    """A scorer's own failure leaves the response, which is paid for, on record."""
    try:
        return scorer.score(subject)
    except Exception as error:
        logger.exception("scorer %s", name)
        return unscored("the scorer failed", explanation=repr(error))
