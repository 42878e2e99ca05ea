"""What people do at a bad moment: cancel, delete, launch twenty times, and what messages do twice."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tests.chaos.lab import Job, Lab, Line
from tests.services import wait_until

SILENT_AFTER_S = 5.0
TOLD_LOST = "SELECT count(*) FROM runs_logline WHERE text LIKE 'a worker was lost%%' AND run_id = %s"
TABLES = ("runs_trial", "runs_attempt", "runs_score", "runs_tally", "runs_gridcell", "runs_logline")


def messaged_twice(lab: Lab) -> Line:
    """Fifty runs, each with two messages at once; on SQLite a second process has two pumps."""
    items, runs = lab.size(10, 200), 50
    lab.script(latency_ms=400)
    jobs: list[Job] = []
    for _ in range(runs):
        job = lab.launch("messages", items, lab.size(2, 8))
        jobs.append(job)
        if lab.site.worker_count > 1:
            lab.site.agent.ask("message", run=job.run, times=2)
    second = None
    if lab.site.worker_count == 1:
        second = lab.site.second_worker([job.run for job in jobs], 2)
    for job in jobs:
        job.wait_end()
    if second:
        second.kill()
    return joined("two messages for one run", [job.line("two messages for one run") for job in jobs])


def joined(case: str, lines: list[Line]) -> Line:
    """The sum of several runs' lines."""
    whole = Line(case, lines[0].database, sum(line.items for line in lines))
    for line in lines:
        whole.lost += line.lost
        whole.scored_twice += line.scored_twice
        whole.extra_calls += line.extra_calls
        whole.unrecorded_calls += line.unrecorded_calls
        whole.never_sent += line.never_sent
        whole.seconds = max(whole.seconds, line.seconds)
        whole.problems += line.problems
    whole.must(whole.extra_calls == 0, f"{whole.extra_calls} extra calls")
    whole.ok = not whole.problems
    return whole


def canceled(lab: Lab) -> Line:
    """After five seconds no call goes out; every answer that had arrived before is kept."""
    items = lab.size(500, 5000)
    lab.script(latency_ms=500)
    job = lab.launch("cancel", items, 32)
    job.wait_finished(items / 10)
    delivered = sum(counts[2] for counts in job.calls().values())
    assert lab.http("POST", f"runs/{job.run}/cancel").status_code == 200
    moment = time.time()
    time.sleep(SILENT_AFTER_S + 3)
    latest = lab.provider.stats()["latest"] - moment
    kept = job.number("SELECT count(*) FROM runs_trial WHERE state = 'done' AND run_id = %s")
    paid = sum(counts[2] for counts in job.calls().values())
    line = job.line("cancel in flight", expected={"done": kept, "canceled": items - kept})
    line.must(latest < SILENT_AFTER_S, f"a call went out {latest:.1f} s after the cancel")
    line.must(kept >= delivered, f"{delivered} answers had arrived, {kept} are kept")
    line.must(kept == paid, f"{paid} answers were delivered in all, {kept} are kept")
    return line


def canceled_for_long(lab: Lab) -> Line:
    """Calls that outlast a lease are waited for, since they are paid for."""
    items, calls = lab.size(500, 5000), 32
    lab.script(latency_ms=lab.size(8, 26) * 1000)
    job = lab.launch("cancel long", items, calls)
    wait_until(lambda: lab.provider.stats()["total"] >= calls, "the calls", 60)
    assert lab.http("POST", f"runs/{job.run}/cancel").status_code == 200
    paid = "SELECT count(*) FROM runs_attempt WHERE outcome <> 'open' AND run_id = %s"
    with suppress(TimeoutError):
        wait_until(lambda: job.number(paid) >= calls, "the answers", 60)
    line = job.line("cancel, calls longer than a lease", expected={"done": calls, "canceled": items - calls})
    line.must(not job.number(TOLD_LOST), "a worker that lives is told to be lost")
    return line


def deleted(lab: Lab) -> Line:
    """Nothing of it is left, no call goes out for it, and the workers live."""
    items = lab.size(500, 5000)
    lab.script(latency_ms=200)
    job, other = lab.launch("delete", items, 32), lab.launch("beside", items // 5, 8)
    job.wait_finished(items / 10)
    answer = lab.http("DELETE", f"runs/{job.run}")
    assert answer.status_code == 204, answer.text
    time.sleep(SILENT_AFTER_S)
    calls = job.calls()
    time.sleep(2)
    other.wait_end()
    line = other.line("delete while running")
    line.items = items
    line.must(job.calls() == calls, "calls went out for a deleted run")
    for table in TABLES:
        left = job.number(f"SELECT count(*) FROM {table} WHERE run_id = %s")
        line.must(not left, f"{left} rows left in {table}")
    return line


def launched_at_once(lab: Lab) -> Line:
    """Twenty times with one idempotency key: one evaluation; a later repeat gets the same answer."""
    items, times, tag = lab.size(500, 1000), 20, lab.new_tag("launches")
    lab.script(latency_ms=20)
    wish, key = lab.wish(tag, items), {"idempotency-key": tag}

    def send(_: int) -> tuple[int, int]:
        answer = lab.http("POST", "evaluations", json=wish, headers=key)
        return answer.status_code, answer.json().get("id", 0)

    with ThreadPoolExecutor(times) as pool:
        answers = list(pool.map(send, range(times)))
    made = {number for status, number in answers if status == 202}
    assert len(made) == 1, answers
    runs = lab.site.agent.ask(
        "sql", text="SELECT id FROM runs_run WHERE evaluation_id IN "
        "(SELECT id FROM runs_evaluation WHERE name = %s)", values=[tag]
    )  # fmt: skip
    job = Job(lab, tag, runs[0][0], items, made.pop())
    job.wait_end()
    line = job.line(f"{times} identical launches")
    line.must(len(runs) == 1, f"{len(runs)} runs were made")
    line.must(send(0) == (202, job.evaluation), "the repeat got another answer")
    line.must({status for status, _ in answers} <= {202, 409}, f"answers {answers}")
    line.must(line.extra_calls == 0, f"{line.extra_calls} extra calls")
    return line
