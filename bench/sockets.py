"""Many browsers at once, as a process of its own.

`python -m bench.sockets URL SESSION RUNS SOCKETS BOARD SECONDS`: RUNS is a comma list; BOARD of the
sockets watch the board, the others one run each, evenly. When all are open, or half a minute is over,
it prints `open`, watches for SECONDS, and prints one JSON object: per socket the frames as
[arrival (seconds since the epoch), run, items attended].
"""

import asyncio
import itertools
import json
import re
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

FACTS = re.compile(r'id="run-(\d+)-facts".*?<b>([\d,]+)</b> of [\d,]+', re.S)
OPEN_AT_ONCE = 25
OPEN_WITHIN_S = 30


@dataclass
class Browser:
    """One page's socket, with what it received as it is: reading that is left for when nobody waits."""

    view: str
    open: asyncio.Event = field(default_factory=asyncio.Event)
    retried: int = 0
    lost: int = 0
    frames: list[tuple[float, str]] = field(default_factory=list)

    async def stay(self, session: aiohttp.ClientSession, url: str, gate: asyncio.Semaphore) -> None:
        """Opens and watches; as htmx does, opens again a second after a failure."""
        while True:
            try:
                async with gate:
                    socket = await session.ws_connect(
                        f"{url}/ws/w/bench/?{self.view}", headers={"origin": url}, max_msg_size=0
                    )
                self.open.set()
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        self.frames.append((time.time(), message.data))
                self.lost += 1
            except aiohttp.ClientError:
                self.retried += 1
            await asyncio.sleep(1)


async def browse(url: str, session: str, views: Sequence[str], seconds: float) -> dict[str, Any]:
    """What the sockets saw, and how well they opened: within OPEN_WITHIN_S, then `seconds` of watching."""
    browsers, gate = [Browser(view) for view in views], asyncio.Semaphore(OPEN_AT_ONCE)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(cookies={"sessionid": session}, connector=connector) as client:
        started = time.time()
        watching = [asyncio.create_task(browser.stay(client, url, gate)) for browser in browsers]
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_WITHIN_S):
                await asyncio.gather(*(browser.open.wait() for browser in browsers))
        watched_from = time.time()
        opened = [browser for browser in browsers if browser.open.is_set()]
        print("open", flush=True)
        await asyncio.sleep(seconds)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    return {
        "opened": len(opened), "opened_s": watched_from - started, "watched_from": watched_from,
        "retried": sum(browser.retried for browser in browsers),
        "lost": sum(browser.lost for browser in browsers),
        "frames": [[seen for at, text in browser.frames for seen in read(at, text)] for browser in opened],
        "bytes": sum(len(text) for browser in browsers for at, text in browser.frames if at > watched_from),
        "messages": sum(at > watched_from for browser in browsers for at, _ in browser.frames),
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
