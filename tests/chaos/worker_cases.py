"""What can happen to a worker: killed, asked to end, stopped, poisoned by an item, given a wrong clock."""

import os
import signal
import time
from functools import partial

from tests.chaos.lab import ENDED, Job, Lab, Line
from tests.chaos.sites import SKEW, process_at
from tests.services import Process, wait_until

EXTRA_PER_KILL = 15  # 20 kills over 10,000 items may cost 3 %; three kills average nothing out
LOST = "SELECT count(*) FROM runs_attempt WHERE outcome = 'lost' AND run_id = %s"
REFUSED = "SELECT count(*) FROM runs_logline WHERE text LIKE '%%late answers dropped%%' AND run_id = %s"
ENDS_WITHIN_S = 10.0
POISONED = "20"


def killed(lab: Lab) -> Line:
    """kill -9 of a whole worker again and again; another one is started in its place."""
    items, kills = lab.size(500, 10_000), lab.size(3, 20)
    lab.script(latency_ms=150 if lab.full else 60)
    job = lab.launch("kill", items, 8)
    for kill in range(kills):
        job.wait_finished(items * (kill + 0.5) / (kills + 0.5), 600)
        job.under(partial(kill_and_replace, lab, job.holder()))
    job.wait_end()
    line = job.line("worker kill -9", kills=True)
    most = kills * lab.size(2 * EXTRA_PER_KILL, EXTRA_PER_KILL)
    line.must(line.extra_calls <= most, f"{line.extra_calls} extra calls, at most {most}")
    return line


def kill_and_replace(lab: Lab, number: int) -> None:
    lab.site.workers[number].kill()
    lab.site.replace_worker(number)


def terminated(lab: Lab) -> Line:
    """SIGTERM: within ten seconds the process has ended and none of its leases is left."""
    items = lab.size(500, 2000)
    lab.script(latency_ms=300)
    job = lab.launch("sigterm", items, 16)
    job.wait_finished(items / 4)
    number = job.holder()
    moment, held, worker = time.time(), job.held(), lab.site.workers[number]
    worker.process.send_signal(signal.SIGTERM)
    ended = wait_ended(worker, ENDS_WITHIN_S)
    took = time.time() - moment
    orphans = leases_of_the_dead(job)
    worker.kill()
    lab.site.replace_worker(number)
    job.wait_recovered(moment, held)
    job.wait_end()
    line = job.line("worker SIGTERM")
    line.must(ended, f"it did not end within {ENDS_WITHIN_S:g} s")
    line.must(not orphans, f"{orphans} leases of ended processes after {took:.1f} s")
    return line


def wait_ended(worker: Process, seconds: float) -> bool:
    try:
        worker.process.wait(seconds)
    except Exception:
        return False
    return True


def leases_of_the_dead(job: Job) -> int:
    """Leases whose owner, which names its process, lives no more."""
    rows = job.lab.site.agent.ask(
        "sql", text="SELECT owner FROM runs_trial WHERE state = 'leased' AND run_id = %s", values=[job.run]
    )
    return sum(not alive(int(owner.split(":")[1])) for [owner] in rows)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def stopped(lab: Lab) -> Line:
    """SIGSTOP past the lease: another worker takes over, and what the first one says later is refused."""
    items = lab.size(500, 2000)
    lab.script(latency_ms=1000)
    job = lab.launch("sigstop", items, 32)
    job.wait_finished(1)
    if lab.site.worker_count == 1:
        lab.site.second_worker([job.run])
    worker = lab.site.workers[job.holder()]
    try:
        job.under(lambda: os.killpg(worker.process.pid, signal.SIGSTOP))
        lost = job.number(LOST)
    finally:
        os.killpg(worker.process.pid, signal.SIGCONT)
    taken_over = job.number("SELECT count(*) FROM runs_trial WHERE crashes > 0 AND run_id = %s")
    job.wait_end()
    time.sleep(2)  # for whatever the woken worker still has to say
    line = job.line("worker SIGSTOP, SIGCONT", kills=True)
    line.must(lost > 0 and taken_over > 0, "nobody took over the items of the stopped worker")
    line.must(job.number(REFUSED) > 0, "what the woken worker wrote late was not refused, or did not come")
    for extra in lab.site.extra:
        extra.kill()
    return line


def web_restarted(lab: Lab) -> Line:
    items = lab.size(500, 2000)
    lab.script(latency_ms=150)
    job = lab.launch("web", items, 16)
    job.wait_finished(items / 4)
    job.under(lab.site.restart_web)
    job.wait_end()
    line = job.line("web restart")
    line.must(lab.site.answers(), "the web process does not answer")
    return line


def poisoned(lab: Lab) -> Line:
    """An item during whose call the worker dies, every time: given up after three, the others finish."""
    items = lab.size(500, 2000)
    lab.script(latency_ms=150)
    job = lab.launch("poison", items, 16, marks=f'{{% if id == "{POISONED}" %}}[[fail:hold]]{{% endif %}}')
    deaths = 0
    while deaths < 4 and (port := next_victim(job, deaths)):
        deaths += 1
        job.under(partial(kill_caller, lab, port))
    job.wait_end()
    line = job.line("poisonous item", kills=True, expected={"done": items - 1, "errored": 1})
    line.must(deaths == 3, f"its worker died {deaths} times")
    calls = job.calls().get(POISONED, (0, 0, 0))[0]
    line.must(calls == 3, f"it was called {calls} times")
    return line


def next_victim(job: Job, seen: int) -> int:
    """The local port of the next held call; 0 when the run ends without one."""

    def found() -> int | str:
        ports = job.lab.provider.stats()["held_ports"][seen:]
        return ports[0] if ports else ("ended" if job.counts()[1] in ENDED else 0)

    answer = wait_until(found, "a held call or the end", 120)
    return answer if isinstance(answer, int) else 0


def kill_caller(lab: Lab, port: int) -> None:
    """The process whose call is held; Celery replaces a child, the harness a whole portal."""
    # Asked again: the kernel's list of connections may leave some out while others come and go.
    pid = wait_until(lambda: process_at(port, lab.site.groups()), f"a worker's call from port {port}", 5)
    os.kill(pid, signal.SIGKILL)
    for number, worker in enumerate(lab.site.workers):
        if worker.process.pid == pid:
            worker.process.wait(10)
            lab.site.replace_worker(number)


def skewed(lab: Lab) -> Line:
    """One worker's clock is an hour ahead, the other's an hour behind; the database's is right, also
    SQLite's, which does not ask Python for the time."""
    items, site = lab.size(500, 2000), lab.site
    lab.script(latency_ms=100, retry_after=0.5)
    ahead, behind = ({"PYTHONPATH": str(SKEW), "CHAOS_SKEW_S": str(seconds)} for seconds in (3600, -3600))
    for number, clock in enumerate((ahead, behind)[: site.worker_count]):
        site.workers[number].kill()
        site.replace_worker(number, clock)
    job = lab.launch(
        "skew", items, 16, marks="{% if id|int % 50 == 0 %}[[fail:500*1]]{% endif %}"
        "{% if id|int % 100 == 5 %}[[fail:429-date*1]]{% endif %}"
    )  # fmt: skip
    if site.worker_count == 1:
        site.second_worker([job.run], env=behind)
    job.under(lambda: None)
    job.wait_finished(items / 4)
    job.under(site.workers[job.holder()].kill)  # the one with the other clock has to take over
    job.wait_end()
    line = job.line("clock skew of an hour", kills=True)
    for number, worker in enumerate(site.workers):
        worker.kill()
        site.replace_worker(number)
    for extra in site.extra:
        extra.kill()
    return line
