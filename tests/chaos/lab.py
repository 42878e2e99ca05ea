"""Runs under fault: launched over HTTP, judged by every row and by the provider's count."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.chaos.servers import ScriptedProvider
from tests.chaos.sites import Site
from tests.services import wait_until

RECOVERS_WITHIN_S = 30.0
NEW_ANSWER = "SELECT max(id) FROM runs_attempt WHERE outcome = 'ok' AND started_at > %s AND run_id = %s"
ENDED = ("completed", "failed", "canceled")


@dataclass
class Line:
    """What one case showed. `extra_calls`: good answers that were paid for more than once."""

    case: str
    database: str
    items: int
    lost: int = 0
    scored_twice: int = 0
    extra_calls: int = 0
    unrecorded_calls: int = 0
    never_sent: int = 0  # attempts on record that the provider has not seen
    recovery_s: float = 0.0
    seconds: float = 0.0
    ok: bool = True
    problems: list[str] = field(default_factory=list)

    def must(self, holds: bool, problem: str) -> None:
        if not holds:
            self.ok = False
            self.problems.append(problem)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        figures = (
            f"lost {self.lost}, scored twice {self.scored_twice}, extra calls {self.extra_calls}, "
            f"recovery {self.recovery_s:.1f} s, took {self.seconds:.0f} s"
        )
        told = "".join(f"\n      {problem}" for problem in self.problems)
        mark = "ok  " if self.ok else "FAIL"
        return f"{mark} {self.database:<10} {self.case:<38} {self.items:>6} items  {figures}{told}"


@dataclass
class Job:
    """One run under fault."""

    lab: "Lab"
    tag: str
    run: int
    items: int
    evaluation: int = 0
    recovery_s: float = 0.0

    def counts(self) -> tuple[int, str]:
        """Terminal trials and the run's status; waits while the database is away."""
        text = (
            "SELECT (SELECT count(*) FROM runs_trial WHERE run_id = %s AND state IN ('done', 'errored')), "
            "(SELECT status FROM runs_run WHERE id = %s)"
        )
        while True:
            with suppress(ConnectionError):
                [(finished, status)] = self.lab.site.agent.ask("sql", text=text, values=[self.run, self.run])
                return finished, status or ""
            time.sleep(0.1)

    def number(self, text: str, *values: Any) -> int:
        """A figure of this run: `text` says what to select, with the run's id as its last parameter."""
        [[found]] = self.lab.site.agent.ask("sql", text=text, values=[*values, self.run])
        return int(found or 0)

    def holder(self) -> int:
        """The number of the worker that has most of the run's calls in hand; waits for one."""

        def found() -> list[int] | None:
            text = "SELECT owner FROM runs_trial WHERE state = 'leased' AND run_id = %s"
            rows = self.lab.site.agent.ask("sql", text=text, values=[self.run])
            number = self.lab.site.holder([owner for [owner] in rows])
            return None if number is None else [number]

        return int(wait_until(found, f"{self.tag}: a worker", 60)[0])

    def wait_finished(self, items: float, seconds: float = 120) -> None:
        def reached() -> bool:
            finished, status = self.counts()
            return finished >= items or status in ENDED

        wait_until(reached, f"{self.tag}: {items:.0f} items", seconds)

    def wait_end(self) -> str:
        """The run's last status; a run that takes far too long is judged as it stands."""

        def ended() -> str:
            status = self.counts()[1]
            return status if status in (*ENDED, "paused") else ""

        try:
            return str(wait_until(ended, "the end", self.lab.size(90, 900)))
        except TimeoutError:
            return self.counts()[1]

    def held(self, of: list[list[int]] | None = None) -> list[list[int]]:
        """What is leased, or of those what still is: (id, fence)."""
        with suppress(ConnectionError):
            return list(self.lab.site.agent.ask("held", run=self.run, of=of))
        return of or []

    def wait_recovered(self, fault: float, held: list[list[int]], seconds: float = 90) -> None:
        """Until an answer is recorded whose call began after the fault (time.time), and all that was `held`
        then has been answered or given back; or the run ends. Of several faults the longest recovery counts.
        """
        stamp = datetime.fromtimestamp(fault, UTC).isoformat(sep=" ", timespec="microseconds")
        after = stamp if self.lab.site.database == "postgresql" else stamp.removesuffix("+00:00")

        def moved() -> bool:
            with suppress(ConnectionError):
                answered = bool(self.number(NEW_ANSWER, after)) and not self.held(held)
                return answered or self.counts()[1] in ENDED
            return False

        with suppress(TimeoutError):
            wait_until(moved, "the next answer", seconds)
        self.recovery_s = max(self.recovery_s, time.time() - fault)

    def under(self, fault: Callable[[], Any]) -> None:
        """Does something bad and waits until the run has recovered."""
        moment, held = time.time(), self.held()
        fault()
        self.wait_recovered(moment, held)

    def line(self, case: str, *, kills: bool = False, expected: dict[str, int] | None = None) -> Line:
        """The judgement. `kills`: attempts that died with their worker may have died before the send."""
        found = self.lab.site.agent.ask("verdict", run=self.run)
        expected = {"done": self.items} if expected is None else expected
        line = Line(case, self.lab.site.database, self.items, recovery_s=round(self.recovery_s, 2))
        line.seconds = round(found["seconds"], 1)
        ended = sum(found["states"].get(state, 0) for state in ("done", "errored", "canceled"))
        line.lost = self.items - ended + found["done_without_score"]
        line.scored_twice = found["scored_twice"]
        line.must(line.lost == 0, f"{line.lost} items lost: {found['states']}")
        line.must(line.scored_twice == 0, f"{line.scored_twice} scored twice")
        line.must(found["status"] in ENDED, f"the run is {found['status']}: {found['reason']}")
        line.must(found["differing"] == "''", f"counters differ: {found['differing'][:300]}")
        line.must(not found["outcomes"].get("open"), f"attempts left open: {found['outcomes'].get('open')}")
        states = {state: count for state, count in expected.items() if count}
        line.must(
            found["states"] == states, f"states {found['states']}, expected {states}; {found['errors']}"
        )
        line.must(line.recovery_s <= RECOVERS_WITHIN_S, f"recovery took {line.recovery_s:.0f} s")
        self.count_calls(line, found, kills)
        return line

    def count_calls(self, line: Line, found: dict[str, Any], kills: bool) -> None:
        """Item by item: attempts on record against the provider's own count."""
        keys, unexplained, missing = self.calls(), 0, list[str]()
        for name in {*keys, *found["attempts"]}:
            calls, good, _ = keys.get(name, (0, 0, 0))
            attempts, lost = found["attempts"].get(name, (0, 0))
            line.extra_calls += max(0, good - 1)
            line.unrecorded_calls += max(0, calls - attempts)
            missing += [f"{name} ({calls}, {attempts})"] if calls > attempts else []
            line.never_sent += max(0, attempts - calls)
            unexplained += max(0, attempts - calls - (lost if kills else 0))
        told = f"{line.unrecorded_calls} calls are not on record, (calls, attempts) of items: {missing[:5]}"
        line.must(not missing, told)
        line.must(
            not unexplained,
            f"{unexplained} attempts on record that the provider never saw: {found['outcomes']}",
        )

    def calls(self) -> dict[str, tuple[int, int, int]]:
        """Of each item: calls, calls to be answered well, such answers delivered."""
        start = f"{self.tag}/"
        keys = self.lab.provider.stats()["keys"]
        return {key.removeprefix(start): tuple(n) for key, n in keys.items() if key.startswith(start)}


class Lab:
    """An installation and the scripted provider, shared by all cases; `full` is the size of `make chaos`."""

    def __init__(self, site: Site, provider: ScriptedProvider, *, full: bool):
        self.site, self.provider, self.full = site, provider, full
        prepared = site.agent.ask("prepare", items=10_000 if full else 500)
        self.version = prepared["version"]
        self.headers = {"authorization": f"Bearer {prepared['token']}"}
        self.jobs = 0

    def size(self, small: int, full: int) -> int:
        return full if self.full else small

    def http(self, method: str, path: str, **values: Any) -> httpx.Response:
        headers = self.headers | values.pop("headers", {})
        return httpx.request(method, f"{self.site.url}/api/v1/{path}", headers=headers, timeout=60, **values)

    def script(self, **options: Any) -> None:
        """What the provider does from now on; its counters start anew."""
        defaults = {"latency_ms": 0, "retry_after": 1, "retry_after_form": "seconds"}
        self.provider.reset(**defaults | options)

    def wish(
        self,
        tag: str,
        items: int,
        concurrency: int = 16,
        *,
        marks: str = "",
        timeout_s: int = 60,
        max_failures: int = 5,
    ) -> dict[str, Any]:
        """The body of a launch whose prompts carry a key, and marks that tell the provider what to do."""
        model = self.site.agent.ask(
            "model", name=tag, base_url=self.provider.base_url, concurrency=concurrency, timeout_s=timeout_s
        )
        return {
            "dataset_version_id": self.version,
            "model_ids": [model],
            "scorers": [{"key": "numeric"}],
            "template": f"{{{{ input }}}} [[key:{tag}/{{{{ id }}}}]] {marks}",
            "concurrency": concurrency,
            "limit": items,
            "name": tag,
            "max_failures": max_failures,
        }

    def new_tag(self, name: str) -> str:
        self.jobs += 1
        return f"{name} {self.jobs}"

    def launch(self, name: str, items: int, concurrency: int = 16, **options: Any) -> Job:
        tag = self.new_tag(name)
        answer = self.http("POST", "evaluations", json=self.wish(tag, items, concurrency, **options))
        assert answer.status_code == 202, answer.text
        return Job(self, tag, answer.json()["runs"][0], items, answer.json()["id"])
