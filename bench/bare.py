"""Loops that store nothing, as a process of their own: K long-lived coroutines over one client.

`python -m bench.bare httpx|registry BASE_URL ITEMS IN_FLIGHT` prints one JSON object. `httpx` is
httpx.AsyncClient over the httpx-aiohttp transport, `registry` is the portal's own client.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from httpx_aiohttp import AiohttpTransport

from bench.endpoint import question

Call = Callable[[str], Awaitable[str]]


@asynccontextmanager
async def over_httpx(base_url: str, in_flight: int) -> AsyncIterator[Call]:
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    transport = AiohttpTransport(trust_env=False, limits=limits)
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=60) as client:

        async def call(text: str) -> str:
            body = {"model": "stub-model", "messages": [{"role": "user", "content": text}]}
            answer = await client.post(f"{base_url}/chat/completions", json=body)
            return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])

        yield call


@asynccontextmanager
async def over_registry(base_url: str, in_flight: int) -> AsyncIterator[Call]:
    import django

    django.setup()
    from evalportal.lib.secret_fields import Secret
    from registry.calls import ChatRequest, Endpoint
    from registry.client import Client

    target = Endpoint(None, "openai_chat", base_url, Secret(""), {}, 60)
    async with Client() as client:

        async def call(text: str) -> str:
            request = ChatRequest("stub-model", [{"role": "user", "content": text}], {})
            return (await client.complete(target, request)).text

        yield call


CLIENTS = {"httpx": over_httpx, "registry": over_registry}


async def loop(name: str, base_url: str, items: int, in_flight: int) -> dict[str, Any]:
    """Seconds, CPU seconds and MB that the calls alone take."""
    numbers, failed = iter(range(items)), 0
    async with CLIENTS[name](base_url, in_flight) as call:

        async def work() -> None:
            nonlocal failed
            for number in numbers:
                failed += str(number * 2) not in await call(question(number))

        started, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in range(in_flight)))
        window_s, used_s = time.perf_counter() - started, time.process_time() - used
    assert not failed, f"{failed} wrong answers"
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"window_s": window_s, "cpu_s": used_s, "rss_mb": peak_mb}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalportal.settings")
    name, base_url, items, in_flight = sys.argv[1:]
    print(json.dumps(asyncio.run(loop(name, base_url, int(items), int(in_flight)))))


if __name__ == "__main__":
    main()
