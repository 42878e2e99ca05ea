"""Asking judge models outside of a run: for a preview and for the control set."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import sleep
from typing import Any

from django.conf import settings

from evalportal.lib.secret_fields import UndecryptableSecret
from judges.asking import Material, call_parameters, judge_messages, nonce_for
from judges.kinds.base import Frozen, JudgeVerdict, NoVerdict
from judges.spending import MonthIsSpent, Purse, Used, Wanted
from judges.templating import TemplateProblem
from judges.verdicts import combine_passes, panel, read_verdict
from registry.calls import CallFailed, ChatRequest, Completion, Endpoint
from registry.client import Client
from registry.models import RegisteredModel

Said = JudgeVerdict | NoVerdict
AT_ONCE = 8
PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One pass with one judge model: what was sent, what came back, what it means, whether asking again may
    help."""

    judge: RegisteredModel
    swapped: bool
    messages: list[dict[str, Any]]
    said: Said
    text: str = ""
    latency_ms: int | None = None
    again: bool = True

    @property
    def model(self) -> str:
        return self.judge.title


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one material, and all that was asked for it."""

    said: Said
    asked: list[Asked] = field(default_factory=list)


class Unavailable(Exception):
    """A judge model cannot be asked; the message is for people."""


def nonce_of(material: Material) -> str:
    return nonce_for(
        settings.SECRET_KEY, str(material.item.get("input", "")), material.response, material.other or ""
    )


def messages_for(frozen: Frozen, material: Material, *, swapped: bool = False) -> list[dict[str, Any]]:
    """Raises TemplateProblem."""
    nonce = nonce_of(material)
    return judge_messages(frozen, material.item, material.response, material.other, swapped, nonce)


def judge_all(
    frozen: Frozen,
    models: Sequence[RegisteredModel],
    materials: Sequence[Material],
    purse: Purse,
    *,
    tries: int = 1,
    timeout_s: float = 600,
) -> list[Judged]:
    """Every material judged by every model in every pass. Blocks and calls out: not inside a transaction.

    A call takes at most `timeout_s`, or less if its provider says so. The purse holds what the calls may take
    before they go out, AT_ONCE at a time. Raises Unavailable before anything is answered; where the month is
    spent on the way, the rest is not asked."""
    endpoints = {model.pk: _endpoint(model, timeout_s) for model in models}
    orders = (False, True) if frozen["both_orders"] else (False,)
    passes = [swapped for _ in range(frozen["repeats"]) for swapped in orders]
    asked = [
        _asked(frozen, model, material, swapped)
        for material in materials
        for model in models
        for swapped in passes
    ]
    for left in reversed(range(tries)):
        again = [at for at, each in enumerate(asked) if each.messages and each.again]
        for start in range(0, len(again), AT_ONCE):
            some = again[start : start + AT_ONCE]
            try:
                answers = _paid(frozen, endpoints, [asked[at] for at in some], purse)
            except Unavailable as why:
                if not any(each.text for each in asked):
                    raise
                answers = [replace(asked[at], said=NoVerdict("call_failed", str(why))) for at in some]
            for at, answer in zip(some, answers, strict=True):
                asked[at] = answer
        if left and any(each.again and not each.text for each in asked if each.messages):
            sleep(PAUSE_S)
    each_panel = len(models) * len(passes)
    return [
        _panel(frozen, asked[start : start + each_panel], len(passes))
        for start in range(0, len(asked), each_panel)
    ]


def _endpoint(model: RegisteredModel, timeout_s: float) -> Endpoint:
    if model.provider is None:
        raise Unavailable(f"{model.title} is registered by name only: there is nothing to ask.")
    try:
        endpoint = Endpoint.of(model.provider)
    except UndecryptableSecret as error:
        raise Unavailable(str(error)) from error
    return replace(endpoint, timeout_s=min(endpoint.timeout_s, timeout_s))


def _asked(frozen: Frozen, model: RegisteredModel, material: Material, swapped: bool) -> Asked:
    """What is to be asked; without messages where the template failed."""
    try:
        messages = messages_for(frozen, material, swapped=swapped)
    except TemplateProblem as problem:
        return Asked(model, swapped, [], NoVerdict("template", str(problem)), again=False)
    return Asked(model, swapped, messages, NoVerdict("call_failed", "not asked"))


def _panel(frozen: Frozen, asked: Sequence[Asked], passes: int) -> Judged:
    """From the passes of each member in turn."""
    members = [asked[start : start + passes] for start in range(0, len(asked), passes)]
    votes = [combine_passes(frozen, [each.said for each in member]) for member in members]
    return Judged(panel(frozen, votes), list(asked))


def _paid(
    frozen: Frozen, endpoints: Mapping[int, Endpoint], wanted: Sequence[Asked], purse: Purse
) -> list[Asked]:
    """Asked all at once, and counted. Raises Unavailable."""
    requests = [
        ChatRequest(
            each.judge.name,
            each.messages,
            call_parameters(frozen, each.judge.default_params, each.judge.capabilities),
        )
        for each in wanted
    ]
    try:
        held = purse.hold(
            [
                Wanted(each.judge, request.messages, request.params)
                for each, request in zip(wanted, requests, strict=True)
            ]
        )
    except MonthIsSpent as why:
        raise Unavailable(str(why)) from why
    used = [Used()] * len(wanted)
    try:
        answers = asyncio.run(_answers([endpoints[each.judge.pk] for each in wanted], requests))
        used = [
            Used(answer.input_tokens, answer.output_tokens) if isinstance(answer, Completion) else Used()
            for answer in answers
        ]
    finally:
        purse.settle(held, used)
    return [_told(frozen, each, answer) for each, answer in zip(wanted, answers, strict=True)]


async def _answers(
    endpoints: Sequence[Endpoint], requests: Sequence[ChatRequest]
) -> list[Completion | CallFailed]:
    async with Client() as client:

        async def answer(endpoint: Endpoint, request: ChatRequest) -> Completion | CallFailed:
            try:
                return await client.complete(endpoint, request)
            except CallFailed as failed:
                return failed

        return list(await asyncio.gather(*map(answer, endpoints, requests)))


def _told(frozen: Frozen, asked: Asked, answer: Completion | CallFailed) -> Asked:
    if isinstance(answer, CallFailed):
        said: Said = NoVerdict("call_failed", answer.message)
        return replace(asked, said=said, text="", latency_ms=None, again=answer.retriable)
    said = read_verdict(frozen, answer.text, asked.swapped, answer.finish_reason)
    return replace(
        asked,
        said=said,
        text=answer.text,
        latency_ms=answer.latency_ms,
        again=isinstance(said, NoVerdict),
    )
