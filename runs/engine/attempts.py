"""One attempt at one trial: prompt and call; every way it can end becomes an Outcome."""

import random
from collections.abc import Callable

from registry.client import CallFailed, ChatRequest, Client, Completion, EmbedRequest
from runs.engine.asking import CHARS_PER_TOKEN, input_tokens
from runs.engine.outcomes import Outcome
from runs.engine.plan import Plan, Work
from runs.engine.reading import judged, likeness
from runs.engine.scoring import to_be_scored

BACKOFF_FIRST_MS = 1_000
BACKOFF_MOST_MS = 60_000
MOST_ASKED_WAITS = 1_000  # calls of one trial; an endpoint that only ever says "later" is given up
MOST_FAILED_WAITS = 20  # where it says "now", or says so with a failure: the item itself may be to blame
# What no retry mends and every further item would meet too: the run waits for a person.
STOPS_RUN = {
    "unauthorized": "{provider} refused the key ({detail}). "
    "Enter a valid key for it in the admin, then resume.",
    "not_found": "{provider} does not serve {model} at this address ({detail}). "
    "Correct it in the admin, then resume.",
    "blocked": "{provider} is at an address that this installation does not call ({detail}). "
    "An operator may allow it in EVALPORTAL_OUTBOUND_ALLOW, then resume.",
    "certificate": "The certificate of {provider} is not trusted ({detail}). Correct it, then resume.",
}


async def attempt(plan: Plan, work: Work, client: Client, on_text: Callable[[str], None] | None) -> Outcome:
    """Calls the model once."""
    assert plan.endpoint is not None
    semantic = plan.judge.semantic if plan.judge else None
    try:
        if semantic and work.embedded:
            texts = EmbedRequest(plan.model, work.embedded.texts, dict(plan.params))
            completion = likeness(semantic, work.embedded, await client.embed(plan.endpoint, texts))
        else:
            chat = ChatRequest(plan.model, work.chat, dict(plan.params), stream=plan.streams)
            completion = await client.complete(plan.endpoint, chat, on_text if plan.streams else None)
    except CallFailed as failed:
        if failed.kind in STOPS_RUN:
            return refused_outcome(plan, work, failed)
        return failed_outcome(plan, work, failed)
    return answered_outcome(plan, work, completion)


def settled_outcome(plan: Plan, work: Work) -> Outcome:
    """Of an item for which no call goes out."""
    if plan.endpoint is None:
        return recorded_outcome(plan, work)
    if work.problem is not None:
        kind, words = work.problem
        return Outcome(work.trial, "errored", kind, error_kind=kind, error=words, counts=False, sent=False)
    assert work.answer is not None
    outcome = Outcome(
        work.trial,
        "done",
        response=work.answer.text,
        finish_reason=work.answer.finish_reason,
        sent=False,
        cached=work.answer.cached,
        cache_key=work.cache_key if work.answer.cached else "",
    )
    return scored(plan, work, outcome)


def answered_outcome(plan: Plan, work: Work, completion: Completion) -> Outcome:
    inputs, outputs = completion.input_tokens, completion.output_tokens
    estimated = plan.ceilings is not None and (inputs is None or outputs is None)
    if estimated:  # a ceiling must hold also at an endpoint that reports no usage
        inputs = input_tokens(work.chat) if inputs is None else inputs
        outputs = _output_tokens(plan, completion) if outputs is None else outputs
    outcome = Outcome(
        work.trial,
        "done",
        response=completion.text,
        finish_reason=completion.finish_reason,
        latency_ms=completion.latency_ms,
        first_token_ms=completion.first_token_ms,
        input_tokens=inputs,
        output_tokens=outputs,
        usage_estimated=estimated,
        cost=plan.cost(inputs, outputs),
        status_code=completion.status_code,
        cache_key=work.cache_key,
    )
    return scored(plan, work, outcome)


def _output_tokens(plan: Plan, completion: Completion) -> int:
    """An estimate: all that was held back for an answer that was cut short, none for embeddings."""
    if not plan.answer_tokens or completion.finish_reason == "length":
        return plan.answer_tokens
    return len(completion.text) // CHARS_PER_TOKEN + 1


def recorded_outcome(plan: Plan, work: Work) -> Outcome:
    """A recorded response is scored as it stands; an item without one has nothing to score."""
    if work.recorded is None:
        words = f"The dataset has no recorded response of {plan.model} for this item."
        return Outcome(
            work.trial,
            "errored",
            error_kind="not_answered" if plan.by_hand else "not_recorded",
            counts=False,
            sent=False,
            error="Nobody has filled in an answer for this item." if plan.by_hand else words,
        )
    outcome = Outcome(work.trial, "done", response=work.recorded, finish_reason="recorded", sent=False)
    return scored(plan, work, outcome)


def scored(plan: Plan, work: Work, outcome: Outcome) -> Outcome:
    """To be by the run's scorers, or by the judge whose response it is."""
    if plan.judge is None:
        return to_be_scored(work, outcome)
    return judged(plan.judge, outcome, work.trial.failures + 1 < plan.max_failures)


def refused_outcome(plan: Plan, work: Work, failed: CallFailed) -> Outcome:
    """The item is as it was; the run stops, with words for whoever can mend it."""
    words = STOPS_RUN[failed.kind].format(provider=plan.provider, model=plan.model, detail=failed.message)
    return Outcome(
        work.trial,
        "pending",
        failed.kind,
        counts=False,
        status_code=failed.status_code,
        retry_after_ms=failed.retry_after_ms,
        attempt_error=_told(failed),
        stops_run=words,
    )


def failed_outcome(plan: Plan, work: Work, failed: CallFailed) -> Outcome:
    """Waits and tries again while attempts are left; a wait that the provider asked for uses none up."""
    asked = failed.retriable and failed.retry_after_ms is not None
    waits = failed.kind == "rate_limited" and failed.retry_after_ms
    most = MOST_ASKED_WAITS if waits else MOST_FAILED_WAITS
    counts = not (asked and work.trial.attempt < most)
    failures = work.trial.failures + counts
    again = failed.retriable and failures < plan.max_failures
    return Outcome(
        work.trial,
        "waiting" if again else "errored",
        failed.kind,
        counts=counts,
        error_kind=failed.kind,
        error=failed.message,
        delay_ms=_delay_ms(failed, failures if counts else work.trial.attempt) if again else 0,
        status_code=failed.status_code,
        retry_after_ms=failed.retry_after_ms,
        latency_ms=None,
        attempt_error=_told(failed),
    )


def _told(failed: CallFailed) -> str:
    """For people, then what the endpoint said."""
    return "\n".join(text for text in (failed.message, failed.body_start) if text)


def _delay_ms(failed: CallFailed, tried: int) -> int:
    """The provider's own wish, else exponential with jitter: also where it says "now" and refuses again."""
    if failed.retry_after_ms:
        return failed.retry_after_ms + random.randint(0, 250)  # noqa: S311 (jitter)
    most = min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** min(10, max(0, tried - 1)))
    return random.randint(most // 2, most)  # noqa: S311 (jitter)
