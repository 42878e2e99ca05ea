"""Every case by its name, and on which databases it makes sense."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos import command_cases, provider_cases, server_cases, worker_cases
from tests.chaos.lab import Lab, Line

BOTH, SCALED = ("sqlite", "postgresql"), ("postgresql",)


@dataclass(frozen=True)
class Case:
    """`left_out` says why it is not tried on SQLite."""

    name: str
    play: Callable[[Lab], Line | list[Line]]
    databases: tuple[str, ...] = BOTH
    left_out: str = ""

    def lines(self, lab: Lab) -> list[Line]:
        died = lab.site.revive()
        found = self.play(lab)
        lines = found if isinstance(found, list) else [found]
        died += lab.site.revive()
        lines[0].must(not died, f"workers ended by themselves: {died}")
        return lines


NO_SERVERS = "one process without servers"
CASES = (
    Case("kill", worker_cases.killed),
    Case("sigterm", worker_cases.terminated),
    Case("sigstop", worker_cases.stopped),
    Case("web", worker_cases.web_restarted),
    Case("poison", worker_cases.poisoned),
    Case("redis-restart", server_cases.redis_restarted, SCALED, NO_SERVERS),
    Case("redis-flush", server_cases.redis_flushed, SCALED, NO_SERVERS),
    Case("redis-absent", server_cases.redis_absent, SCALED, NO_SERVERS),
    Case("postgres-restart", server_cases.postgres_restarted, SCALED, NO_SERVERS),
    Case("messages", command_cases.messaged_twice),
    Case("cancel", command_cases.canceled),
    Case("cancel-long", command_cases.canceled_for_long),
    Case("delete", command_cases.deleted),
    Case("launches", command_cases.launched_at_once),
    Case("providers", provider_cases.providers_failing),
    Case("skew", worker_cases.skewed),
)


def cases_on(database: str) -> list[Case]:
    return [case for case in CASES if database in case.databases]
