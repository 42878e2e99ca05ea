"""The legal moves of runs and trials, and a run's rows at one moment held against them."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connection

from runs.engine.clock import now_ms_sql
from runs.engine.recovery import MAX_CRASHES
from runs.models import FINISHED_STATUSES, LIVE_STATES, RunStatus

# From, to: the deeds that may do it. What does not stand here must not happen.
TRIAL_MOVES = {
    ("pending", "leased"): {"claim"},
    ("waiting", "leased"): {"claim"},
    ("leased", "done"): {"record"},
    ("leased", "errored"): {"record", "sweep"},  # by the sweep: three workers died of it
    ("leased", "waiting"): {"record"},
    ("leased", "pending"): {"record", "give back", "hold back", "sweep"},
    ("pending", "canceled"): {"cancel"},
    ("leased", "canceled"): {"cancel"},
    ("waiting", "canceled"): {"cancel"},
    ("canceled", "pending"): {"resume"},
    ("canceled", "done"): {"record"},  # the answer was paid for and came after the stop
    ("canceled", "errored"): {"record"},
    ("errored", "pending"): {"retry"},
}
RUN_MOVES = {
    ("pending", "running"): {"take"},
    ("running", "completed"): {"finish"},
    ("running", "failed"): {"finish"},
    ("running", "canceled"): {"finish", "cancel"},  # finished beside items of an earlier stop
    ("running", "paused"): {"pause", "stop"},
    ("pending", "paused"): {"pause"},
    ("pending", "canceled"): {"cancel"},
    ("paused", "canceled"): {"cancel"},
    ("paused", "pending"): {"resume", "retry"},
    ("canceled", "pending"): {"resume", "retry"},
    ("completed", "pending"): {"retry"},
    ("failed", "pending"): {"retry"},
}
UNDOES = ("give back", "hold back", "sweep", "record")  # may take back a call that never went out
SCORERS = ("numeric", "second")
Move = tuple[str, str, str]  # deed, from, to
LEGAL = {(deed, *move) for table in (TRIAL_MOVES, RUN_MOVES) for move, by in table.items() for deed in by}


class TrialRow(NamedTuple):
    """What a step may change of a trial."""

    seq: int
    section: str
    state: str
    fence: int
    attempts: int
    crashes: int
    due: bool
    response: str
    passed: bool | None
    cached: bool
    tokens: int
    reserved: int
    finished: bool

    @property
    def is_free(self) -> bool:
        return self.state == "pending" or (self.state == "waiting" and bool(self.due))


@dataclass(frozen=True)
class Picture:
    """The run's rows at one moment; `status` is empty when it is gone."""

    status: str = ""
    sequence: int = 0
    working: bool = False
    finished: bool = False
    counters: tuple[int, ...] = ()  # total, done, errored, canceled, answered, retried, cached, tokens
    trials: dict[int, TrialRow] = field(default_factory=dict)
    attempts: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)
    scores: dict[tuple[int, str], tuple[bool, bool]] = field(default_factory=dict)  # scored, passed
    tallies: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    cells: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    def having(self, state: str) -> list[int]:
        return sorted(pk for pk, trial in self.trials.items() if trial.state == state)


def take_picture(run_id: int) -> Picture:
    """In a few plain queries: it is taken 60,000 times."""
    with connection.cursor() as cursor:

        def rows(table: str, columns: str, key: str = "run_id") -> list[Any]:
            cursor.execute(f"SELECT {columns} FROM {table} WHERE {key} = %s", [run_id])
            return list(cursor.fetchall())

        head = rows(
            "runs_run",
            "status, sequence, working_since_ms > 0, finished_at IS NOT NULL, total, done, errored,"
            " canceled, answered, retried, cached, input_tokens + output_tokens",
            "id",
        )
        trials = rows(
            "runs_trial",
            f"id, seq, section, state, fence, attempt_count, crashes, not_before_ms <= {now_ms_sql()},"
            " response, passed, cached, COALESCE(input_tokens + output_tokens, 0),"
            " CASE WHEN state = 'leased' OR (state = 'canceled' AND owner <> '')"
            " THEN reserved_tokens ELSE 0 END,"
            " finished_at IS NOT NULL",
        )
        attempts = rows("runs_attempt", "trial_id, number, fence, outcome")
        scores = rows("runs_score", "trial_id, scorer, value IS NOT NULL, passed")
        tallies = rows("runs_tally", "scorer, section, scored, passed, unscored")
        cells = rows("runs_gridcell", "cell, done, passed, errored")
    status, sequence, working, finished, *counters = head[0] if head else ("", 0, False, False)
    assert len(scores) == len({row[:2] for row in scores}), "one score for each trial and scorer"
    assert len(attempts) == len({row[:2] for row in attempts}), "one attempt of each number"
    return Picture(
        status, sequence, bool(working), bool(finished), tuple(counters),
        {pk: TrialRow(*rest) for pk, *rest in trials},
        {(trial, number): (fence, outcome) for trial, number, fence, outcome in attempts},
        {(trial, scorer): (bool(scored), bool(passed)) for trial, scorer, scored, passed in scores},
        {(scorer, section): tuple(sums) for scorer, section, *sums in tallies},
        {cell: tuple(sums) for cell, *sums in cells if any(sums)},
    )  # fmt: skip


def moves(deed: str, before: Picture, now: Picture) -> Iterator[Move]:
    """Every change of a status or state in this step."""
    if before.status != now.status and now.status:
        yield deed, before.status, now.status
    for pk, trial in now.trials.items():
        if before.trials[pk].state != trial.state:
            yield deed, before.trials[pk].state, trial.state


def check_step(deed: str, before: Picture, now: Picture) -> None:
    """Each row's way from one step to the next."""
    if deed == "delete" and not now.status:
        assert not (now.trials or now.attempts or now.scores or now.tallies or now.cells)
        return
    assert before.trials.keys() == now.trials.keys()
    for move in moves(deed, before, now):
        assert move in LEGAL, f"{move} is not legal"
    if (before.status, before.counters) != (now.status, now.counters):
        assert now.sequence > before.sequence
    for pk, new in now.trials.items():
        check_trial(deed, before.trials[pk], new)
    for key, (fence, outcome) in before.attempts.items():
        if outcome not in ("open", "lost"):
            assert now.attempts.get(key) == (fence, outcome), f"attempt {key} changed after its end"
        else:
            assert key in now.attempts or deed in UNDOES


def check_trial(deed: str, old: TrialRow, new: TrialRow) -> None:
    """Fences grow with each lease and never shrink; what is done stays as it is."""
    leased = new.state == "leased" != old.state
    assert new.fence == old.fence + 1 if leased else old.fence <= new.fence <= old.fence + 1
    assert new.attempts >= old.attempts - (deed in UNDOES)
    if old.state == new.state and old.state in ("done", "errored"):
        assert (old.fence, old.attempts, old.response) == (new.fence, new.attempts, new.response)


def check_rows(now: Picture) -> None:
    """What holds of a run at any moment."""
    if now.status:
        assert now.working == (now.status == RunStatus.RUNNING)
        assert now.finished == (now.status in FINISHED_STATUSES)
    for pk, trial in now.trials.items():
        assert trial.state not in LIVE_STATES or now.status not in FINISHED_STATUSES
        assert trial.finished == (trial.state in ("done", "errored"))
        assert trial.crashes <= MAX_CRASHES
        assert all(((pk, name) in now.scores) == (trial.state == "done") for name in SCORERS)
        if trial.state == "leased":
            current = (trial.fence, "open")
            assert now.attempts.get((pk, trial.attempts), current) == current
    assert all(1 <= number <= now.trials[pk].attempts for pk, number in now.attempts)


def check_counters(now: Picture) -> None:
    """Every kept sum against the rows, counted apart from `check_run`."""
    states = Counter(trial.state for trial in now.trials.values())
    done = [trial for trial in now.trials.values() if trial.state == "done"]
    assert now.counters == (
        len(now.trials), states["done"], states["errored"], states["canceled"],
        sum(bool(trial.response.strip()) for trial in done), sum(trial.attempts > 1 for trial in done),
        sum(trial.cached for trial in done), sum(trial.tokens for trial in done),
    )  # fmt: skip
    tallies: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for (pk, scorer), (scored, passed) in now.scores.items():
        sums = tallies[scorer, now.trials[pk].section]
        sums[0] += scored
        sums[1] += passed
        sums[2] += not scored
    assert now.tallies == {key: tuple(sums) for key, sums in tallies.items()}
    assert now.cells == {
        trial.seq - 1: (int(trial.state == "done"), int(bool(trial.passed)), int(trial.state == "errored"))
        for trial in now.trials.values()
        if trial.state in ("done", "errored")
    }
