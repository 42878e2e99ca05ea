"""What can happen to the servers that a scaled portal stands on."""

import time

import httpx

from tests.chaos.lab import Job, Lab, Line
from tests.chaos.sites import Scaled


def redis_restarted(lab: Lab) -> Line:
    """Every message and subscription is gone."""

    def restart() -> None:
        site(lab).redis.stop()
        site(lab).redis.start()

    return works_again(lab, broken(lab, "Redis restart", restart))


def redis_flushed(lab: Lab) -> Line:
    return broken(lab, "Redis FLUSHALL", lambda: site(lab).redis.flush())


def postgres_restarted(lab: Lab) -> Line:
    return broken(lab, "PostgreSQL immediate restart", lambda: site(lab).postgres.restart_at_once())


def redis_absent(lab: Lab) -> Line:
    """The run goes on without it, to its end; pages, launches and commands answer meanwhile."""
    items, absent_s = lab.size(500, 3_000), lab.size(8, 60)
    lab.script(latency_ms=250 if lab.full else 150)
    job = lab.launch("redis absent", items, 16)
    job.wait_finished(items / 50)
    job.under(site(lab).redis.stop)
    gone = time.monotonic()
    beside, refused = asked_without_redis(lab)
    status = job.wait_end()
    time.sleep(max(0, absent_s - (time.monotonic() - gone)))
    site(lab).redis.start()
    line = job.line(f"Redis absent for {absent_s} s")
    line.must(status == "completed", f"without Redis the run is {status}")
    line.must(not refused, f"without Redis: {refused}")
    ended = beside.wait_end()
    line.must(ended == "completed", f"a run launched without Redis is {ended}")
    return works_again(lab, line)


def asked_without_redis(lab: Lab) -> tuple[Job, list[str]]:
    """A run launched meanwhile, and what did not answer as usual."""
    beside, other = lab.launch("launched meanwhile", 50), lab.launch("canceled meanwhile", 500)
    cookie = {"cookie": f"sessionid={lab.site.agent.ask('session')}"}
    answers = [lab.http("POST", f"runs/{other.run}/cancel"), lab.http("GET", "runs")]
    answers += [
        httpx.get(f"{lab.site.url}/w/chaos/{page}", headers=cookie, timeout=60)
        for page in ("runs/", f"runs/{beside.run}/", "datasets/", "")
    ]
    return beside, [f"{it.url.path}: {it.status_code}" for it in answers if it.status_code != 200]


def works_again(lab: Lab, line: Line) -> Line:
    """Workers that have found Redis again take the next run."""
    job = lab.launch("after", 50)
    status = job.wait_end()
    line.must(status == "completed", f"a run launched after it is {status}")
    return line


def broken(lab: Lab, case: str, fault: object) -> Line:
    """Twice in one run."""
    items = lab.size(500, 5000)
    lab.script(latency_ms=150)
    job = lab.launch(case, items, 32)
    for share in (0.2, 0.5):
        job.wait_finished(items * share)
        job.under(fault)  # type: ignore[arg-type]
    job.wait_end()
    return job.line(case)


def site(lab: Lab) -> Scaled:
    assert isinstance(lab.site, Scaled)
    return lab.site
