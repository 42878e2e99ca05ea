"""A scripted OpenAI-compatible endpoint: fast, deterministic, and able to misbehave on purpose.

In-process: `StubEndpoint().start()`, its own thread and loop. As a process:
`python -m tests.stub_endpoint --port 8901 --latency-ms 50`.

Every decision about a prompt (right or wrong, whether attempt k fails and how) is a function of
(seed, model, prompt, k) alone. Marks in a prompt: `[[answer:X]]` is the right answer,
`[[fail:MODE]]` makes every attempt of it fail that way, `[[fail:MODE*3]]` the first three, and
`[[key:X]]` has its calls counted under X (`/stats`, "keys").
"""

import argparse
import asyncio
import json
import random
import re
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

from evalportal.demo import wire
from tests import stub_faults
from tests.stub_recording import read_recording, recorded

MARK_ANSWER = re.compile(r"\[\[answer:(.*?)\]\]", re.S)
MARK_FAIL = re.compile(r"\[\[fail:([a-z0-9-]+)(?:\*(\d+))?\]\]")
MARK_KEY = re.compile(r"\[\[key:(.*?)\]\]", re.S)
STATUS_MODES = ("429", "500", "503", "400", "401", "403", "404")
RATE_MODES = tuple(f"429-{form}" for form in stub_faults.RETRY_AFTER_FORMS)
HELD_MODES = ("hang", "hold")  # never answered; "hold" also says from which port the call came
FAIL_MODES = (
    *STATUS_MODES, *RATE_MODES, *HELD_MODES, *stub_faults.BODY_MODES,
    "reset", "drip",
)  # fmt: skip
FILLER = ("Let me think about the question step by step before I settle on an answer. " * 8).split(" ")


@dataclass(slots=True)
class Options:
    """Everything adjustable; the flags of the command line carry the same names."""

    latency_ms: float = 0.0
    latency_jitter: float = 0.0
    tail_rate: float = 0.0
    tail_ms: float = 0.0
    accuracy: float = 1.0
    text: str | None = None  # always this text
    # From the request's body to the text, or a table from a part of the prompt to the text.
    script: Callable[[dict[str, Any]], str] | dict[str, str] | None = None
    replay: dict[str, dict[str, str]] | None = None  # question → {model: recorded answer}
    choices: list[str] = field(default_factory=lambda: ["A", "B", "C", "D"])
    answer_tokens: int = 20
    seed: str = "0"
    models: list[str] = field(default_factory=lambda: ["stub-model", "stub-model-b"])
    api_key: str = ""
    stream_chunks: int = 8
    fail_rate: float = 0.0
    fail_first: int = 0
    fail_mode: list[str] = field(default_factory=lambda: ["500"])
    retry_after: float = 1.0
    retry_after_form: str = "seconds"  # seconds | date | ms | none
    rpm: int = 0
    rpm_window_s: float = 60.0
    max_in_flight: int = 0
    reports_usage: bool = True


@dataclass(slots=True)
class Stats:
    """Counters since the last reset; `in_flight` is live."""

    total: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    streams: int = 0
    aborted: int = 0
    duplicates: int = 0
    status: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    attempts: Counter[bytes] = field(default_factory=Counter)
    # key → calls, calls that were to be answered well, such answers written while the client was there
    keys: dict[str, list[int]] = field(default_factory=dict)
    held_ports: list[int] = field(default_factory=list)
    first: float = 0
    latest: float = 0  # when the last request came
    last: float = 0

    def as_dict(self) -> dict[str, Any]:
        span = self.last - self.first
        return {
            "total": self.total, "in_flight": self.in_flight, "max_in_flight": self.max_in_flight,
            "streams": self.streams, "aborted": self.aborted, "duplicates": self.duplicates,
            "unique": len(self.attempts), "status": {str(code): n for code, n in self.status.items()},
            "failures": dict(self.failures), "span_s": round(span, 4), "latest": self.latest,
            "held_ports": self.held_ports, "keys": self.keys,
            "requests_per_s": round(self.total / span, 1) if span > 0 else 0.0,
        }  # fmt: skip


@dataclass(slots=True)
class Call:
    """One chat request on its way through the stub."""

    connection: wire.Connection
    model: str
    prompt: str
    digest: bytes
    body: dict[str, Any]
    counts: list[int]  # of its key

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))


class Stub:
    """The handler: decides, waits, answers or fails."""

    def __init__(self, options: Options | None = None):
        self.options, self.stats = options or Options(), Stats()
        self.requests: deque[dict[str, Any]] = deque(maxlen=1000)  # bodies, latest last
        self.heads: deque[bytes] = deque(maxlen=1000)
        self.recent: deque[float] = deque()
        self.random = random.Random(0)

    def handle(self, request: wire.Request, connection: wire.Connection) -> None:
        if request.path.endswith("/chat/completions"):
            self.chat(request, connection)
        elif request.path.endswith("/embeddings"):
            self.embed(request, connection)
        elif request.path.endswith("/models"):
            if self.authorised(request):
                connection.answer(200, wire.model_list(self.options.models))
            else:
                connection.refuse(401, "invalid api key")
        elif request.path == "/stats":
            connection.answer(200, self.stats.as_dict())
        elif request.path == "/reset":
            self.reset(**(json.loads(request.body) if request.body.strip() else {}))
            connection.answer(200, {"ok": True})
        else:
            connection.refuse(404, "no such path")

    def reset(self, **options: Any) -> None:
        """Zeroes the counters; the named options change and stay."""
        self.options = replace(self.options, **options)
        self.stats = Stats(in_flight=self.stats.in_flight)
        self.requests.clear()
        self.heads.clear()
        self.recent.clear()

    def authorised(self, request: wire.Request) -> bool:
        key = self.options.api_key
        return not key or f"authorization: bearer {key}".lower().encode() in request.head

    def chat(self, request: wire.Request, connection: wire.Connection) -> None:
        self.take(request, connection, lambda body: wire.text_of(body["messages"]))

    def embed(self, request: wire.Request, connection: wire.Connection) -> None:
        """The texts together are the prompt: marks in them make it fail."""
        self.take(request, connection, lambda body: "\n".join(wire.texts_of(body)))

    def take(
        self, request: wire.Request, connection: wire.Connection, read: Callable[[dict[str, Any]], str]
    ) -> None:
        stats, options = self.stats, self.options
        stats.total += 1
        stats.latest = time.time()
        stats.first = stats.first or stats.latest
        stats.in_flight += 1
        stats.max_in_flight = max(stats.max_in_flight, stats.in_flight)
        connection.on_gone = self.gone
        if not self.authorised(request):
            return self.refuse(connection, 401, "invalid api key")
        try:
            body = json.loads(request.body)
            model, prompt = body["model"], read(body)
        except (ValueError, KeyError, TypeError, AttributeError):
            words = "the body must be a JSON object with model and messages, or input"
            return self.refuse(connection, 400, words)
        self.requests.append(body)
        self.heads.append(request.head)
        counts = self.counts(prompt)
        counts[0] += 1
        if options.max_in_flight and stats.in_flight > options.max_in_flight:
            return self.refuse(
                connection, 429, "too many requests in flight", self.retry_after(options.retry_after)
            )
        if options.rpm and (wait := self.over_rate(time.time())):
            return self.refuse(connection, 429, "rate limit reached", self.retry_after(wait))
        self.admit(Call(connection, model, prompt, self.digest(model, prompt), body, counts))

    def admit(self, call: Call) -> None:
        self.stats.attempts[call.digest] += 1
        attempt = self.stats.attempts[call.digest]
        self.stats.duplicates += attempt > 1
        mode = self.failure(call, attempt)
        if mode:
            self.stats.failures[mode] += 1
        else:
            call.counts[1] += 1
        delay = self.delay_s()
        if mode in HELD_MODES:
            if mode == "hold" and call.connection.transport:
                self.stats.held_ports.append(call.connection.transport.get_extra_info("peername")[1])
            return
        if mode == "drip":
            call.connection.open_stream()
            self.drip(call)
        elif call.stream and not mode:
            self.stats.streams += 1
            self.stream(call, delay)
        elif delay:
            call.connection.later(delay, self.reply, call, mode)
        else:
            self.reply(call, mode)

    # Decisions

    def counts(self, prompt: str) -> list[int]:
        """The counts of the prompt's key; of a prompt without one, a list that nobody reads."""
        mark = MARK_KEY.search(prompt) if "[[key:" in prompt else None
        return self.stats.keys.setdefault(mark.group(1), [0, 0, 0]) if mark else [0, 0, 0]

    def digest(self, model: str, prompt: str) -> bytes:
        text = f"{self.options.seed}\0{model}\0{prompt}".encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=16).digest()

    def failure(self, call: Call, attempt: int) -> str:
        mark = MARK_FAIL.search(call.prompt) if "[[fail:" in call.prompt else None
        if mark and mark.group(1) in FAIL_MODES and attempt <= int(mark.group(2) or attempt):
            return mark.group(1)
        options = self.options
        if not (options.fail_rate or options.fail_first):
            return ""
        draw = blake2b(call.digest + attempt.to_bytes(4, "big"), digest_size=8).digest()
        if attempt <= options.fail_first or share(draw[:4]) < options.fail_rate:
            return options.fail_mode[int.from_bytes(draw[4:], "big") % len(options.fail_mode)]
        return ""

    def delay_s(self) -> float:
        options = self.options
        ms = options.latency_ms
        if options.latency_jitter:
            ms += self.random.uniform(-options.latency_jitter, options.latency_jitter)
        if options.tail_rate and self.random.random() < options.tail_rate:
            ms += options.tail_ms
        return max(0.0, ms / 1000)

    def over_rate(self, now: float) -> float:
        """0 when accepted, else the seconds to wait."""
        options, recent = self.options, self.recent
        while recent and recent[0] <= now - options.rpm_window_s:
            recent.popleft()
        if len(recent) < options.rpm:
            recent.append(now)
            return 0.0
        return max(0.001, recent[0] + options.rpm_window_s - now)

    def retry_after(self, wait_s: float) -> dict[str, str]:
        return stub_faults.retry_after(self.options.retry_after_form, wait_s)

    def text(self, call: Call) -> str | None:
        """The answer, or None when nothing is recorded for this prompt."""
        options = self.options
        if options.text is not None:
            return options.text
        if callable(options.script):
            return options.script(call.body)
        if options.script is not None:
            return next((text for part, text in options.script.items() if part in call.prompt), "")
        if options.replay is not None:
            return recorded(options.replay, call.prompt).get(call.model)
        right = MARK_ANSWER.search(call.prompt)
        if right:
            pick = right.group(1)
            if share(call.digest[8:12]) >= options.accuracy:
                pick = wrong(pick)
        else:
            pick = options.choices[int.from_bytes(call.digest[12:16], "big") % len(options.choices)]
        words = " ".join(FILLER[: options.answer_tokens])
        return f"{words}\nANSWER: {pick}"

    # Answers

    def reply(self, call: Call, mode: str) -> None:
        if mode:
            return self.misbehave(call, mode)
        if "input" in call.body:
            self.leave(200)
            call.counts[2] += 1
            return call.connection.answer(200, wire.embedding_list(call.model, wire.texts_of(call.body)))
        text = self.text(call)
        if text is None:
            return self.refuse(call.connection, 400, "no recorded answer for this model and prompt")
        self.leave(200)
        call.counts[2] += 1
        answer = wire.completion(call.model, text, wire.usage(call.prompt, text))
        if not self.options.reports_usage:
            del answer["usage"]
        call.connection.answer(200, answer)

    def stream(self, call: Call, delay_s: float) -> None:
        """The first piece after a fifth of the delay, the others spread over the rest."""
        text = self.text(call)
        if text is None:
            return self.refuse(call.connection, 400, "no recorded answer for this model and prompt")
        size = -(-len(text) // self.options.stream_chunks) or 1
        pieces = [text[at : at + size] for at in range(0, len(text), size)] or [""]
        if not delay_s:
            call.connection.open_stream()
            for piece in pieces:
                call.connection.event(wire.chunk(call.model, piece))
            return self.end_stream(call, text)
        call.connection.later(delay_s * 0.2, self.step, call, text, pieces, delay_s * 0.8 / len(pieces), 0)

    def step(self, call: Call, text: str, pieces: list[str], gap_s: float, at: int) -> None:
        if at == 0:
            call.connection.open_stream()
        call.connection.event(wire.chunk(call.model, pieces[at]))
        if at + 1 < len(pieces):
            call.connection.later(gap_s, self.step, call, text, pieces, gap_s, at + 1)
        else:
            call.connection.later(gap_s, self.end_stream, call, text)

    def end_stream(self, call: Call, text: str) -> None:
        self.leave(200)
        call.counts[2] += 1
        call.connection.event(wire.chunk(call.model, None, "stop"))
        if (call.body.get("stream_options") or {}).get("include_usage"):
            call.connection.event(wire.usage_chunk(call.model, wire.usage(call.prompt, text)))
        call.connection.end_stream()

    def drip(self, call: Call) -> None:
        """A byte now and then, for ever: only a total deadline ends this."""
        call.connection.write(b"1\r\n:\r\n")
        call.connection.later(0.05, self.drip, call)

    def misbehave(self, call: Call, mode: str) -> None:
        connection = call.connection
        if mode in STATUS_MODES:
            wait = self.retry_after(self.options.retry_after) if mode in ("401", "429", "503") else {}
            self.refuse(connection, int(mode), f"injected {mode}", wait)
        elif mode in RATE_MODES:
            wait = stub_faults.retry_after(mode.partition("-")[2], self.options.retry_after)
            self.refuse(connection, 429, f"injected {mode}", wait)
        elif mode in stub_faults.BODY_MODES:
            self.leave(200)
            connection.on_gone = None
            stub_faults.misbehave(connection, mode, call.model)
        else:
            self.leave(0)
            connection.drop(politely=False)

    def refuse(
        self, connection: wire.Connection, status: int, message: str, headers: dict[str, str] | None = None
    ) -> None:
        self.leave(status)
        connection.refuse(status, message, headers)

    def leave(self, status: int) -> None:
        self.stats.in_flight -= 1
        self.stats.last = time.time()
        if status:
            self.stats.status[status] += 1

    def gone(self) -> None:
        self.stats.aborted += 1
        self.leave(0)


def share(digest: bytes) -> float:
    return int.from_bytes(digest, "big") / 256 ** len(digest)


def wrong(answer: str) -> str:
    """A definite wrong answer of the same kind as the right one."""
    if len(answer) == 1 and answer.isalpha():
        return "ABCD"[("ABCD".find(answer.upper()) + 1) % 4]
    try:
        return str(int(answer) + 1)
    except ValueError:
        return f"not-{answer}"


class StubEndpoint:
    """The stub on a thread of its own, on a free loopback port."""

    def __init__(self, **options: Any):
        self.stub = Stub(Options(**options))
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stub-endpoint", daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def stats(self) -> Stats:
        return self.stub.stats

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Bodies of the latest chat requests."""
        return list(self.stub.requests)

    @property
    def heads(self) -> list[bytes]:
        """Request lines and headers of the latest chat requests, in lower case."""
        return list(self.stub.heads)

    def set(self, **options: Any) -> None:
        self.stub.options = replace(self.stub.options, **options)

    def reset(self, **options: Any) -> None:
        """Zeroed counters, and the defaults except for the named options."""
        self.stub.options = Options(**options)
        self.stub.reset()

    def start(self) -> Self:
        self._thread.start()
        if not self._ready.wait(5):
            raise RuntimeError("the stub endpoint did not start")
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(wire.serve(self.stub))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    __enter__ = start

    def __exit__(self, *exc: object) -> None:
        self.stop()


def parse_flags(arguments: list[str] | None = None) -> tuple[argparse.Namespace, Options]:
    parser = argparse.ArgumentParser(description="A scripted OpenAI-compatible endpoint")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8901)
    parser.add_argument("--replay", type=Path, metavar="FILE", help="recorded answers, JSONL")
    defaults = Options()
    plain = [entry.name for entry in fields(Options) if entry.name not in ("script", "replay")]
    for name in plain:
        default = getattr(defaults, name)
        kind = str if isinstance(default, list | None) else type(default)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=None)
    flags = parser.parse_args(arguments)
    given = {name: getattr(flags, name) for name in plain if getattr(flags, name) is not None}
    for name in ("choices", "models", "fail_mode"):
        if name in given:
            given[name] = given[name].split(",")
    if flags.replay:
        table = read_recording(flags.replay)
        given |= {"replay": table, "models": sorted(next(iter(table.values())))}
    return flags, Options(**given)


async def serve_process(flags: argparse.Namespace, options: Options) -> None:
    server = await wire.serve(Stub(options), host=flags.host, port=flags.port)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(f"stub endpoint on http://{flags.host}:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve_process(*parse_flags()))
