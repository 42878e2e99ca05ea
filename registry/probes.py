"""Asking endpoints whether they answer: tiny completions and lists of models. No database here."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from registry.calls import CallFailed, ChatRequest, Completion, Embeddings, EmbedRequest, Endpoint
from registry.client import Client

PROMPT = "Reply with the single word OK."
DEADLINE_S = 30.0
TOKENS = 16
PREVIEW_CHARS = 300
LIMIT_NAMES = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class Target:
    """What to ask: with a model name a completion or an embedding, without one the list of models."""

    endpoint: Endpoint
    name: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    embeds: bool = False


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe: what came back, or exactly what went wrong."""

    success: bool
    latency_ms: int | None = None
    preview: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    kind: str = ""
    message: str = ""
    status_code: int | None = None
    body_start: str = ""
    checked_at: datetime = field(default_factory=timezone.now)

    @property
    def detail(self) -> str:
        """The one line that is kept with the health."""
        return self.preview if self.success else self.message

    @classmethod
    def failed(cls, failure: CallFailed) -> "ProbeResult":
        return cls(
            success=False, kind=failure.kind, message=failure.message, latency_ms=failure.latency_ms,
            status_code=failure.status_code, body_start=failure.body_start,
        )  # fmt: skip

    @classmethod
    def completed(cls, completion: Completion) -> "ProbeResult":
        nothing = f"(no text; it ended with {completion.finish_reason or 'nothing'})"
        return cls(
            success=True, latency_ms=completion.latency_ms, status_code=completion.status_code,
            preview=completion.text.strip()[:PREVIEW_CHARS] or nothing,
            input_tokens=completion.input_tokens, output_tokens=completion.output_tokens,
        )  # fmt: skip

    @classmethod
    def embedded(cls, found: Embeddings) -> "ProbeResult":
        return cls(
            success=True, latency_ms=found.latency_ms, status_code=found.status_code,
            preview=f"A vector of {len(found.vectors[0]):,} numbers", input_tokens=found.input_tokens,
        )  # fmt: skip


def probe_all(targets: Sequence[Target]) -> list[ProbeResult]:
    """Asks all at once; at most DEADLINE_S or the provider's timeout each. Blocks."""

    async def ask() -> list[ProbeResult]:
        async with Client() as client:
            return await asyncio.gather(*(_probe(client, target) for target in targets))

    return asyncio.run(ask())


def model_names(endpoint: Endpoint) -> list[str]:
    """What the endpoint says it serves. Blocks. Raises CallFailed."""

    async def ask() -> list[str]:
        async with Client() as client:
            return await client.list_models(_hurried(endpoint))

    return asyncio.run(ask())


async def _probe(client: Client, target: Target) -> ProbeResult:
    endpoint = _hurried(target.endpoint)
    try:
        if target.embeds:
            asked = EmbedRequest(target.name, [PROMPT], target.params)
            return ProbeResult.embedded(await client.embed(endpoint, asked))
        if target.name:
            return ProbeResult.completed(await _smallest_completion(client, endpoint, target))
        started = time.perf_counter()
        names = await client.list_models(endpoint)
    except CallFailed as failure:
        return ProbeResult.failed(failure)
    took_ms = round((time.perf_counter() - started) * 1000)
    return ProbeResult(success=True, latency_ms=took_ms, status_code=200, preview=_serves(names))


async def _smallest_completion(client: Client, endpoint: Endpoint, target: Target) -> Completion:
    """Some models refuse `max_tokens`; those are asked again without a limit of ours."""
    messages = [{"role": "user", "content": PROMPT}]
    params = {key: value for key, value in target.params.items() if key not in LIMIT_NAMES}
    name = next((name for name in LIMIT_NAMES if name in target.params), "max_tokens")
    try:
        return await client.complete(endpoint, ChatRequest(target.name, messages, {**params, name: TOKENS}))
    except CallFailed as failure:
        if failure.status_code != 400 or name not in failure.message + failure.body_start:
            raise
    return await client.complete(endpoint, ChatRequest(target.name, messages, params))


def _hurried(endpoint: Endpoint) -> Endpoint:
    """Someone waits for the page: no probe takes as long as a run's call may."""
    return Endpoint(
        provider_id=endpoint.provider_id, protocol=endpoint.protocol, base_url=endpoint.base_url,
        api_key=endpoint.api_key, headers=endpoint.headers, timeout_s=min(endpoint.timeout_s, DEADLINE_S),
    )  # fmt: skip


def _serves(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"Serves {shown}{more}"[:PREVIEW_CHARS] if names else "Answers, but lists no models"
