"""Scores of responses by the run's scorers, given just before their batch is recorded.

The loop belongs to all calls of the process, and after an answer the next call comes first; the database
thread renews leases and agrees on shares. So scores have a thread of their own, and those that wait for
another process have a few.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from judges.scorers import Scorer, Subject, Verdict
from judges.scorers.base import unscored
from runs.engine.outcomes import Outcome
from runs.engine.plan import Work

SCORE_WITHIN_S = 0.1  # then what has its scores is recorded
WAITING = 4
Scorers = Sequence[tuple[str, Scorer[Any]]]
logger = logging.getLogger(__name__)
_computing = ThreadPoolExecutor(1, thread_name_prefix="engine-scores")
_waiting = ThreadPoolExecutor(WAITING, thread_name_prefix="engine-waiting-scores")


def to_be_scored(work: Work, outcome: Outcome) -> Outcome:
    """The outcome with what its verdicts need."""
    outcome.subject = Subject(
        outcome.response,
        work.references,
        work.choices,
        work.prompt,
        work.metadata,
        outcome.latency_ms,
        outcome.cost,
    )
    return outcome


async def score(scorers: Scorers, batch: Sequence[Outcome]) -> None:
    """Gives those their verdicts that wait for them, within a moment: of many or slow ones only some."""
    due = [outcome for outcome in batch if outcome.subject is not None]
    if not due:
        return
    loop = asyncio.get_running_loop()
    if any(scorer.blocks for _, scorer in scorers):
        parts = [due[first::WAITING] for first in range(min(WAITING, len(due)))]
        await asyncio.gather(*(loop.run_in_executor(_waiting, _score, scorers, part) for part in parts))
    else:
        await loop.run_in_executor(_computing, _score, scorers, due)


def _score(scorers: Scorers, due: Sequence[Outcome]) -> None:
    """One at least."""
    until = time.monotonic() + SCORE_WITHIN_S
    for number, outcome in enumerate(due):
        if number and time.monotonic() > until:
            return
        assert outcome.subject is not None
        outcome.verdicts = [(name, _verdict(name, scorer, outcome.subject)) for name, scorer in scorers]
        outcome.subject = None


def _verdict(name: str, scorer: Scorer[Any], subject: Subject) -> Verdict:
    """A scorer's own failure leaves the response, which is paid for, on record."""
    try:
        return scorer.score(subject)
    except Exception as error:
        logger.exception("scorer %s", name)
        return unscored("the scorer failed", explanation=repr(error))
