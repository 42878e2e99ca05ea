"""Many browsers at once, as a process of its own.

`python -m bench.sockets URL SESSION RUNS SOCKETS BOARD SECONDS`: RUNS is a comma list; BOARD of the
sockets watch the board, the others one run each, evenly. When all are open it prints `open`, watches
for SECONDS, and prints one JSON object: per socket the frames as [arrival (seconds since the epoch),
run, items attended].
"""

import asyncio
import itertools
import json
import re
import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

import aiohttp

FACTS = re.compile(r'id="run-(\d+)-facts".*?<b>([\d,]+)</b> of [\d,]+', re.S)
OPEN_AT_ONCE = 25


async def watch(socket: aiohttp.ClientWebSocketResponse, frames: list[tuple[float, str]]) -> None:
    """Keeps what arrives as it is; reading it is left for later, when nobody waits."""
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            frames.append((time.time(), message.data))


async def browse(url: str, session: str, views: Sequence[str], seconds: float) -> dict[str, Any]:
    """Frames by socket, whether all stayed open, and the moment when the last one was."""
    kept: list[list[tuple[float, str]]] = [[] for _ in views]
    gate = asyncio.Semaphore(OPEN_AT_ONCE)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(cookies={"sessionid": session}, connector=connector) as browser:

        async def connect(view: str) -> aiohttp.ClientWebSocketResponse:
            async with gate:
                return await browser.ws_connect(
                    f"{url}/ws/w/bench/?{view}", headers={"origin": url}, max_msg_size=0
                )

        started = time.perf_counter()
        sockets = await asyncio.gather(*map(connect, views))
        opened_s, opened_at = time.perf_counter() - started, time.time()
        watching = [asyncio.create_task(watch(*pair)) for pair in zip(sockets, kept, strict=True)]
        print("open", flush=True)
        await asyncio.sleep(seconds)
        closed = sum(task.done() for task in watching)
        for task in watching:
            task.cancel()
    return {
        "opened_s": opened_s, "opened_at": opened_at, "closed": closed,
        "frames": [[seen for at, text in frames for seen in read(at, text)] for frames in kept],
        "bytes": sum(len(text) for frames in kept for _, text in frames),
        "cpu_s": resource.getrusage(resource.RUSAGE_SELF).ru_utime,
    }  # fmt: skip


def read(at: float, text: str) -> list[tuple[float, int, int]]:
    return [(at, int(run), int(count.replace(",", ""))) for run, count in FACTS.findall(text)]


def main() -> None:
    url, session, runs, sockets, board, seconds = sys.argv[1:]
    each = itertools.cycle(f"view=run&run={run}" for run in runs.split(","))
    views = ["view=board"] * int(board) + [next(each) for _ in range(int(sockets) - int(board))]
    print(json.dumps(asyncio.run(browse(url, session, views, float(seconds)))))


if __name__ == "__main__":
    main()
