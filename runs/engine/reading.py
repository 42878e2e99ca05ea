"""What a judge model is asked, and how its answer is read: the judges' own rules, in the engine's words."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from judges.asking import judge_messages, nonce_for
from judges.scorers.semantic import Asked, Semantic
from judges.templating import TemplateProblem
from judges.verdicts import JudgeVerdict, NoVerdict, read_verdict
from registry.client import Completion, Embeddings
from runs.engine.asking import Question, with_images
from runs.engine.judging import Judge
from runs.engine.outcomes import Outcome
from runs.engine.votes import said_in, verdict_of

Said = JudgeVerdict | NoVerdict
UNREADABLE = "unreadable_verdict"  # the outcome of an attempt
BEGINNING = 2_000  # characters of an unreadable answer that its attempt keeps
NO_OPPONENT = "The response that it is to be compared with is gone."


def judge_question(
    judge: Judge,
    item: Mapping[str, Any],
    response: str,
    other: str | None,
    epoch: int,
    images: list[tuple[str, str]],
) -> Question:
    """The chat for one pass. Its mark for data is the same when the same is asked again, so that an answer
    can be reused, and known to nobody who writes responses."""
    if judge.compares and other is None:
        return Question([], NO_OPPONENT)
    nonce = nonce_for(settings.SECRET_KEY, response, other or "")
    try:
        messages = judge_messages(judge.frozen, item, response, other, judge.swapped(epoch), nonce)
    except TemplateProblem as error:
        return Question([], f"The judge's template failed: {error}")
    return Question(with_images(messages, images))


def likeness(semantic: Semantic, asked: Asked, found: Embeddings) -> Completion:
    """What is kept of embeddings: how near the response comes, not the vectors."""
    return Completion(
        text=semantic.read(asked, found.vectors),
        finish_reason="",
        input_tokens=found.input_tokens,
        output_tokens=0,
        latency_ms=found.latency_ms,
        first_token_ms=None,
        status_code=found.status_code,
    )


def said_of(judge: Judge, response: str, swapped: bool, finish_reason: str) -> Said:
    """The verdict in what a judging's trial was answered."""
    if judge.semantic:
        return said_in(judge.semantic.verdict(response))
    return read_verdict(judge.frozen, response, swapped, finish_reason)


def judged(judge: Judge, outcome: Outcome, may_ask_again: bool) -> Outcome:
    """The outcome with the verdict that its answer holds. One that cannot be read was paid for and stays on
    record; the trial is asked again, or errored."""
    if judge.semantic:
        outcome.verdicts = [(judge.scorer, judge.semantic.verdict(outcome.response))]
        return outcome
    swapped = judge.swapped(outcome.trial.epoch)
    said = read_verdict(judge.frozen, outcome.response, swapped, outcome.finish_reason)
    if not isinstance(said, NoVerdict):
        outcome.verdicts = [(judge.scorer, verdict_of(said))]
        return outcome
    outcome.state = "waiting" if may_ask_again and outcome.sent else "errored"
    outcome.attempt_outcome, outcome.error_kind = UNREADABLE, said.reason
    words = str(said)
    outcome.error = f"{words[:1].upper()}{words[1:]}"
    outcome.attempt_error = f"{outcome.error}\n{outcome.response[:BEGINNING]}"
    return outcome
