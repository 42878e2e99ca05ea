"""Asking judge models outside of a run: for a preview and for the control set."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings

from evalportal.lib.secret_fields import UndecryptableSecret
from judges.asking import Material, call_parameters, judge_messages, nonce_for
from judges.kinds.base import Frozen, JudgeVerdict, NoVerdict
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
    """One pass with one judge model: what was sent, what came back, what it means."""

    model: str
    swapped: bool
    messages: list[dict[str, Any]]
    said: Said
    text: str = ""
    latency_ms: int | None = None


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
    *,
    tries: int = 1,
    timeout_s: float = 600,
) -> list[Judged]:
    """Every material judged by every model in every pass. Blocks and calls out: not inside a transaction.

    A call takes at most `timeout_s`, or less if its provider says so. Raises Unavailable before it asks."""
    endpoints = [_endpoint(model, timeout_s) for model in models]

    async def ask() -> list[Judged]:
        places = asyncio.Semaphore(AT_ONCE)
        async with Client() as client:
            caller = _Caller(client, frozen, places, tries)
            panels = [caller.judged(list(zip(models, endpoints, strict=True)), each) for each in materials]
            return await asyncio.gather(*panels)

    return asyncio.run(ask())


def _endpoint(model: RegisteredModel, timeout_s: float) -> Endpoint:
    if model.provider is None:
        raise Unavailable(f"{model.title} is registered by name only: there is nothing to ask.")
    try:
        endpoint = Endpoint.of(model.provider)
    except UndecryptableSecret as error:
        raise Unavailable(str(error)) from error
    return replace(endpoint, timeout_s=min(endpoint.timeout_s, timeout_s))


@dataclass(frozen=True, slots=True)
class _Caller:
    client: Client
    frozen: Frozen
    places: asyncio.Semaphore
    tries: int

    async def judged(
        self, panel_of: Sequence[tuple[RegisteredModel, Endpoint]], material: Material
    ) -> Judged:
        members = await asyncio.gather(*(self.member(*each, material) for each in panel_of))
        votes = [combine_passes(self.frozen, [each.said for each in asked]) for asked in members]
        return Judged(panel(self.frozen, votes), [each for asked in members for each in asked])

    async def member(self, model: RegisteredModel, endpoint: Endpoint, material: Material) -> list[Asked]:
        orders = (False, True) if self.frozen["both_orders"] else (False,)
        passes = [swapped for _ in range(self.frozen["repeats"]) for swapped in orders]
        return list(await asyncio.gather(*(self.once(model, endpoint, material, each) for each in passes)))

    async def once(
        self, model: RegisteredModel, endpoint: Endpoint, material: Material, swapped: bool
    ) -> Asked:
        try:
            messages = messages_for(self.frozen, material, swapped=swapped)
        except TemplateProblem as problem:
            return Asked(model.title, swapped, [], NoVerdict("template", str(problem)))
        params = call_parameters(self.frozen, model.default_params, model.capabilities)
        request = ChatRequest(model.name, messages, params)
        for left in reversed(range(self.tries)):
            said, completion, again = await self.call(endpoint, request, swapped)
            if isinstance(said, JudgeVerdict) or not left or not again:
                break
            await asyncio.sleep(PAUSE_S if completion is None else 0)
        text, latency = (completion.text, completion.latency_ms) if completion else ("", None)
        return Asked(model.title, swapped, messages, said, text, latency)

    async def call(
        self, endpoint: Endpoint, request: ChatRequest, swapped: bool
    ) -> tuple[Said, Completion | None, bool]:
        """What was said, what came back, and whether to ask again."""
        try:
            async with self.places:
                completion = await self.client.complete(endpoint, request)
        except CallFailed as failed:
            return NoVerdict("call_failed", failed.message), None, failed.retriable
        said = read_verdict(self.frozen, completion.text, swapped, completion.finish_reason)
        return said, completion, True
