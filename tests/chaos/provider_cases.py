"""What a provider can do to a call, each to some items of a run of its own, all runs at the same time."""

from dataclasses import dataclass
from datetime import datetime

from tests.chaos.lab import Job, Lab, Line

TIMEOUT_S = 4
MAX_FAILURES = 3  # fewer than a 429 with Retry-After is repeated: those use none up


@dataclass(frozen=True)
class Fault:
    """How each `every`-th item fails at its first `times` calls, then ends done.

    Or at all of its calls, if the engine `gives_up` after that many: no further call could mend it.
    """

    name: str
    mode: str
    times: int = 1  # twice would look like an outage at the end of the run, and open the circuit
    every: int = 10
    gives_up: int = 0

    @property
    def marks(self) -> str:
        times = "" if self.gives_up else f"*{self.times}"
        return f"{{% if id|int % {self.every} == 0 %}}[[fail:{self.mode}{times}]]{{% endif %}}"


FAULTS = (
    Fault("429, Retry-After in seconds", "429-seconds", times=4, every=40),
    Fault("429, Retry-After as a date", "429-date", times=4, every=100),
    Fault("429, retry-after-ms", "429-ms", times=4, every=40),
    Fault("429 without Retry-After", "429-none", every=40),
    Fault("500", "500"),
    Fault("503", "503"),
    Fault("400", "400", gives_up=1),
    Fault("reset", "reset"),
    Fault("disconnect mid-body", "disconnect"),
    Fault("malformed", "malformed"),
    Fault("empty", "empty"),
    Fault("wrong charset", "charset"),
    Fault("100 MB body", "big", every=50, gives_up=1),
    Fault("gzip bomb", "bomb", every=50, gives_up=1),
    Fault("hang", "hang", every=20),
    Fault("one byte a second", "slow", every=20),
)


def providers_failing(lab: Lab) -> list[Line]:
    items = lab.size(500, 2000)  # of each of the faults
    lab.script(latency_ms=20, retry_after=0.3)
    limits = {"timeout_s": TIMEOUT_S, "max_failures": MAX_FAILURES}
    jobs = [lab.launch(fault.mode, items, 16, marks=fault.marks, **limits) for fault in FAULTS]
    for job in jobs:
        job.wait_end()
    return [judged(job, fault) for job, fault in zip(jobs, FAULTS, strict=True)]


def judged(job: Job, fault: Fault) -> Line:
    bad = job.items // fault.every
    errored = bad if fault.gives_up else 0
    job.recovery_s = until_next_answer(job)
    line = job.line(f"provider: {fault.name}", expected={"done": job.items - errored, "errored": errored})
    calls = {name: counts[0] for name, counts in job.calls().items() if int(name) % fault.every == 0}
    wanted = fault.gives_up or fault.times + 1
    wrong = sum(count != wanted for count in calls.values())
    line.must(not wrong, f"{wrong} of {bad} items did not take {wanted} calls: {sorted(set(calls.values()))}")
    line.must(line.extra_calls == 0, f"{line.extra_calls} extra calls")
    return line


def until_next_answer(job: Job) -> float:
    """Seconds between the end of the first failed call and the end of the next good one."""
    first = "SELECT min(finished_at) FROM runs_attempt WHERE outcome <> 'ok' AND run_id = %s"
    text = f"SELECT ({first}), min(finished_at) FROM runs_attempt WHERE outcome = 'ok' AND run_id = %s"
    rows = job.lab.site.agent.ask(
        "sql", text=f"{text} AND finished_at >= ({first})", values=[job.run, job.run, job.run]
    )
    failed, mended = (datetime.fromisoformat(str(stamp)) if stamp else None for stamp in rows[0])
    return round((mended - failed).total_seconds(), 2) if failed and mended else 0.0
