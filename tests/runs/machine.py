"""A run as a state machine: the engine's and the people's functions in any order.

Several workers claim, record (also late, also twice), give back and die; time passes by moving what the
database keeps of it; people pause, resume, cancel, retry and delete. After each step every row's move
must be a legal one of that deed.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from judges.scorers.base import Verdict, unscored, verdict
from runs.engine import claiming, journal, leases, owners, parts, recovery
from runs.engine.budgets import Ceiling, Ceilings
from runs.engine.check import check_run
from runs.engine.leases import Claimed
from runs.engine.outcomes import Outcome
from runs.engine.plan import Plan
from runs.engine.recording import record
from runs.models import (
    ACTIVE_STATUSES,
    FINISHED_STATUSES,
    LIVE_STATES,
    Attempt,
    MonthlySpend,
    PumpLease,
    Run,
    RunStatus,
    Score,
    Trial,
)
from runs.services import CannotDo, run_cancel, run_delete, run_pause, run_resume, run_retry
from tests.runs.pictures import (
    SCORERS,
    Move,
    check_counters,
    check_rows,
    check_step,
    moves,
    take_picture,
)
from workspaces.access import Access

DEAD = f"{owners.machine()}:{2**22 + 1}:dead"  # beyond the largest process number there is
SUSPECTS, CEILING = 2, 200  # of trials whose worker died, at once; of tokens, for about three calls
CLOCKS = (
    ("runs_trial", "lease_until_ms", "run_id"),
    ("runs_trial", "not_before_ms", "run_id"),
    ("runs_pumplease", "until_ms", "run_id"),
    ("runs_run", "working_since_ms", "id"),
)
RIGHT, WRONG = (verdict(right, answer="4", explanation="") for right in (True, False))
NONE = unscored("the response is empty")
# Delays (33 and 61 s), leases (20 s) and leaps of time (7 and 22 s) meet only seconds apart, so that a
# slow machine changes nothing.
ENDINGS: tuple[dict[str, Any], ...] = (
    {"state": "done", "response": "ANSWER: 4", "judged": RIGHT, "cost": Decimal("0.002")},
    {"state": "done", "response": "ANSWER: 5", "judged": WRONG},
    {"state": "errored", "attempt_outcome": "bad_request", "error": "Refused."},
    {"state": "waiting", "attempt_outcome": "server_error", "delay_ms": 33_000},
    {"state": "done", "response": " ", "judged": NONE},
    {"state": "waiting", "attempt_outcome": "rate_limited", "delay_ms": 61_000, "counts": False},
    {"state": "waiting", "attempt_outcome": "reset"},
    {"state": "pending", "attempt_outcome": "aborted", "counts": False},
)
SETTLED: tuple[dict[str, Any], ...] = (  # without a call
    {"state": "done", "sent": False, "cached": True, "response": "ANSWER: 4", "judged": RIGHT},
    {"state": "errored", "sent": False, "error": "The prompt template failed."},
)
# One rule of many deeds, by weight: hypothesis leaves whole rules out of a run, and too little would happen.
DEEDS = (
    *["work"] * 6, *["answer"] * 6, *["claim"] * 2, *["claim_and_die"] * 3, "settle", *["record_again"] * 2,
    *["give_back"] * 2, *["give_back_again"] * 2, "take", "renew", "leave", "die", *["rush"] * 3,
    *["leap"] * 2, "pass_time", *["sweep"] * 2, *["finish"] * 2, "stop",
    "pause", *["resume"] * 3, "cancel", *["retry"] * 2, "retry one", "delete",
)  # fmt: skip


def ended(trial: Claimed, ending: dict[str, Any]) -> Outcome:
    values = dict(ending)
    judged: Verdict | None = values.pop("judged", None)
    if judged:
        values["verdicts"] = [(name, judged) for name in SCORERS]
    if judged and values.get("sent", True):
        values |= {"input_tokens": 3, "output_tokens": 5, "latency_ms": 40}
    return Outcome(trial, **values)


class RunMachine(RuleBasedStateMachine):
    """One run of a few trials; the test sets on the class what is annotated here."""

    run: Run
    plan: Plan
    access: Access
    seen: Counter[Move]  # over all runs

    def __init__(self) -> None:
        super().__init__()
        self.deed = "launch"
        self._begin()
        self.owners = ["one", "two"]
        self.leased: list[list[Claimed]] = [[], []]  # by worker
        self.hands: list[list[Claimed]] = [[], []]  # in flight: the calls are on record
        self.said: tuple[Sequence[Outcome], ...] = ()
        self.given: Sequence[Claimed] = ()
        self.stopped: set[tuple[int, int]] = set()  # trial and fence of what was in flight at a cancel
        self.told: dict[tuple[int, int], tuple[int, str]] = {}  # attempts as they must be on record now
        self.calls: set[tuple[int, int]] = set()  # trial and fence of calls whose end was told
        self.dead = 0
        self.now = take_picture(self.run.pk)
        assert self.now.status == RunStatus.PENDING

    def teardown(self) -> None:
        """Whatever happened, what is left can be worked off; then back to the launched run."""
        try:
            if self.now.status and sys.exc_info()[0] is None:
                assert check_run(self.pk) == {}
                self.work_off()
                spent = MonthlySpend.objects.aggregate(calls=Sum("calls"))["calls"]
                assert (spent or 0) == len(self.calls), "each call is paid once"
                connection.check_constraints()
        finally:
            self._forget_dead()
            self._undo()

    def _begin(self) -> None:
        self.whole = transaction.atomic()
        self.whole.__enter__()

    def _undo(self) -> None:
        """All that happened, and what was to follow a commit."""
        transaction.set_rollback(True)
        self.whole.__exit__(None, None, None)

    @property
    def pk(self) -> int:
        return self.run.pk

    @initialize(limited=st.booleans())
    def set_ceiling(self, limited: bool) -> None:
        """Some runs may only spend so much."""
        ceiling, none = Ceiling(None, CEILING), Ceiling(None, None)
        scope = Ceilings(self.pk, self.run.workspace_id, ceiling, none) if limited else None
        self.plan = replace(self.plan, ceilings=scope)

    @rule(deed=st.sampled_from(DEEDS), worker=st.integers(0, 1), number=st.integers(0, 31))
    def step(self, deed: str, worker: int, number: int) -> None:
        if not self.now.status and deed in (*COMMANDS, "delete"):
            self.launch_anew()
        elif deed in COMMANDS:
            self.command(deed)
        elif deed in ("leap", "pass_time", "sweep", "finish", "stop"):
            getattr(self, deed)()
        else:
            getattr(self, deed)(worker, number)

    # -- workers ---------------------------------------------------------------------------------

    def work(self, worker: int, number: int) -> None:
        """As a slice begins: one of the run's pumps, if there is room, then some of its trials."""
        if self.now.status == RunStatus.PENDING or number < 4:
            self._then(self.take, worker)
        claimed = self._claim(self.owners[worker], 1 + number % 4)
        self.every_move_is_legal()
        self.hands[worker] += self._prepare(claimed)

    def answer(self, worker: int, number: int) -> None:
        """Some of what is in hand, ending alike or not; much of it may have lost its lease."""
        hand, (mode, ending) = self.hands[worker], divmod(number, len(ENDINGS))
        chosen = (hand, hand, hand[:1], hand[::2])[mode]
        self.hands[worker] = [trial for trial in hand if trial not in chosen]
        outcomes = [
            ended(trial, ENDINGS[(ending + at * (mode != 0)) % len(ENDINGS)])
            for at, trial in enumerate(chosen)
        ]
        self._record(outcomes)
        self.said = (*self.said, outcomes)[-4:]

    def claim(self, worker: int, number: int) -> None:
        """Only leased: no call is on record yet."""
        self.leased[worker] += self._claim(self.owners[worker], 1 + number % 3)

    def claim_and_die(self, _worker: int, number: int) -> None:
        """A process of this machine that is gone at once; its journal tells which calls it had begun."""
        owner = f"{DEAD}{self.dead}"
        self.dead += 1
        book = journal.Journal(owner)
        claimed = self._claim(owner, 2)
        self.every_move_is_legal()
        for trial in self._prepare(claimed)[: number % 3]:
            book.begin(trial.id, trial.fence)
        if number > 15:
            self.every_move_is_legal()
            self.sweep()

    def _claim(self, owner: str, count: int, suspects: int = SUSPECTS) -> list[Claimed]:
        self.deed = "claim"
        claimed = leases.claim(self.pk, owner, count, True, suspects)
        running = self.now.status == RunStatus.RUNNING
        assert len(claimed) == (self._claimable(count, suspects) if running else 0)
        return claimed

    def _claimable(self, count: int, suspects: int) -> int:
        """Fresh trials; then few of those whose worker died, and one alone where it happened twice."""
        trials = self.now.trials.values()
        found = 0
        for crashes, most in ((0, len(trials)), (1, suspects), (2, 1)):
            alike = [trial for trial in trials if trial.crashes == crashes]
            held = sum(trial.state == "leased" for trial in alike) if crashes else 0
            found += max(0, min(count - found, most - held, sum(trial.is_free for trial in alike)))
        return found

    def _prepare(self, claimed: list[Claimed]) -> list[Claimed]:
        """What may go out; a ceiling holds the rest back."""
        self.deed = "hold back"
        if not claimed:
            return []
        claims = claiming.prepare(self.plan, claimed)
        going = {work.trial.id for work in claims.work}
        assert not claims.reason and claims.held_back == (len(going) < len(claimed))
        return [trial for trial in claimed if trial.id in going]

    def settle(self, worker: int, number: int) -> None:
        """Without a call: an earlier answer stands for it, or nothing can be asked."""
        trials, self.leased[worker] = self.leased[worker], []
        self._record([ended(trial, SETTLED[number % 2]) for trial in trials])

    def record_again(self, _worker: int, number: int) -> None:
        """The answer to the commit was lost, or the worker slept for long: the same batch once more."""
        self._record(self.said[number % len(self.said)] if self.said else [])

    def _record(self, outcomes: Sequence[Outcome]) -> None:
        self.deed = "record"
        may = sum(self._may_write(it) for it in outcomes)
        state = record(self.pk, outcomes, True)
        assert (state.written, state.dropped) == (may, len(outcomes) - may)
        if self.now.status:
            sent = [it for it in outcomes if it.sent]
            self.calls |= {(it.trial.id, it.trial.fence) for it in sent}
            self.told = {(it.trial.id, it.trial.attempt): (it.trial.fence, it.attempt_outcome) for it in sent}

    def _may_write(self, it: Outcome) -> bool:
        trial = self.now.trials.get(it.trial.id)
        if trial is None or trial.fence != it.trial.fence:
            return False
        paid_for = trial.state == "canceled" and it.terminal
        return trial.state == "leased" or paid_for

    def give_back(self, worker: int, number: int) -> None:
        """What was never sent."""
        hand, kept = self.hands[worker], number % 3
        self.given, self.hands[worker] = hand[kept:] + self.leased[worker], hand[:kept]
        self.leased[worker] = []
        self.give_back_again()

    def give_back_again(self, *_: int) -> None:
        self.deed = "give back"
        leases.give_back(self.pk, self.given, True)

    def take(self, worker: int, _number: int = 0) -> None:
        self.deed = "take"
        open_to_work = self.now.status in (RunStatus.PENDING, RunStatus.RUNNING)
        assert leases.take_run(self.pk, self.owners[worker]) <= open_to_work

    def renew(self, worker: int, _number: int) -> None:
        self.deed = "renew"
        leases.renew(self.pk, self.owners[worker])
        assert parts.look(self.pk, self.owners[worker]).status == self.now.status

    def leave(self, worker: int, _number: int) -> None:
        self.deed = "leave"
        leases.leave_run(self.pk, self.owners[worker])

    def die(self, worker: int, _number: int = 0) -> None:
        """A process elsewhere ends without a word; its successor has another name and empty hands."""
        self.deed = "die"
        self.hands[worker], self.leased[worker] = [], []
        self.owners[worker] += "+"

    def rush(self, worker: int, number: int) -> None:
        """All that is free, at one stroke: answered, or all refused alike."""
        if self.now.status == RunStatus.PENDING:
            self._then(self.take, worker)
        claimed = self._claim(self.owners[worker], 10)
        self.every_move_is_legal()
        going = self._prepare(claimed)
        self.every_move_is_legal()
        self._then(self._record, [ended(trial, ENDINGS[2 * (number % 2)]) for trial in going])
        self.finish()

    # -- time, and whoever sweeps ----------------------------------------------------------------

    def leap(self) -> None:
        """Beyond the end of every lease."""
        self.pass_time(22_000)

    def pass_time(self, leap_ms: int = 7_000) -> None:
        self.deed = "time"
        with connection.cursor() as cursor:
            for table, column, key in CLOCKS:
                cursor.execute(
                    f"UPDATE {table} SET {column} = {column} - %s WHERE {key} = %s AND {column} > 0",
                    [leap_ms, self.pk],
                )

    def sweep(self) -> None:
        self.deed = "sweep"
        wanting = recovery.sweep()
        left = PumpLease.objects.filter(run=self.pk, until_ms__gte=leases.now_ms()).exists()
        wants = self.now.status in (RunStatus.PENDING, RunStatus.RUNNING) and not left
        assert wanting == ([self.pk] if wants else [])

    def finish(self) -> None:
        self.deed = "finish"
        live = any(trial.state in LIVE_STATES for trial in self.now.trials.values())
        assert leases.finish(self.pk) == (self.now.status == RunStatus.RUNNING and not live)

    def stop(self) -> None:
        """The engine's own pause."""
        self.deed = "stop"
        leases.pause(self.pk, "The provider refused the key.")

    # -- people ----------------------------------------------------------------------------------

    def command(self, wish: str) -> None:
        """It must do what the run's state allows, and refuse with words what it does not."""
        self.deed = wish.partition(" ")[0]
        if wish == "cancel":
            self.stopped |= {(pk, trial.fence) for pk, trial in self.now.trials.items()}
        try:
            COMMANDS[wish](self.access, Run.objects.get(pk=self.pk))
        except CannotDo:
            assert not self._allowed()
        else:
            assert self._allowed()

    def _allowed(self) -> bool:
        status = self.now.status
        return {
            "pause": status in (RunStatus.PENDING, RunStatus.RUNNING),
            "cancel": status in ACTIVE_STATUSES,
            "resume": status == RunStatus.PAUSED
            or (status == RunStatus.CANCELED and bool(self.now.having("canceled"))),
            "retry": bool(self.now.having("errored")),
        }[self.deed]

    def delete(self, _worker: int, number: int) -> None:
        """Seldom; after it late writes meet nothing, until the run is launched anew."""
        self.deed = "delete"
        if number < 8 and self.now.status:
            run_delete(self.access, Run.objects.get(pk=self.pk))
            connection.check_constraints()
            assert not any(table.objects.filter(run=self.pk).exists() for table in (Trial, Attempt, Score))

    def launch_anew(self) -> None:
        self.deed = "launch"
        self._undo()
        self._begin()
        self.leased, self.hands, self.said, self.given = [[], []], [[], []], (), ()
        self.stopped.clear()
        self.calls.clear()
        self._forget_dead()

    def _forget_dead(self) -> None:
        for number in range(self.dead):
            journal.remove(f"{DEAD}{number}")
        self.dead = 0

    # -- what holds after each step ---------------------------------------------------------------

    @invariant()
    def every_move_is_legal(self) -> None:
        before, now = self.now, take_picture(self.pk)
        self.now, told, self.told = now, self.told, {}
        if self.deed == "launch" or now == before:
            return
        check_step(self.deed, before, now)
        self.seen.update(moves(self.deed, before, now))
        check_rows(now)
        if now.status:
            check_counters(now)
            self._check_attempts(told)

    def _check_attempts(self, told: dict[tuple[int, int], tuple[int, str]]) -> None:
        """A call is open while a leased trial makes it, or while a living worker can still tell its end."""
        for key, (fence, outcome) in told.items():
            assert self.now.attempts.get(key) == (fence, outcome), f"{outcome} of {key} is not on record"
        living = {(trial.id, trial.fence) for hand in self.hands for trial in hand}
        for (pk, number), (fence, outcome) in self.now.attempts.items():
            trial = self.now.trials[pk]
            current = (trial.state, trial.fence, trial.attempts) == ("leased", fence, number)
            if outcome == "open" and not current:
                assert (pk, fence) in living | self.stopped, f"attempt {pk}/{number} stays open"
        if self.plan.ceilings:
            held = sum(trial.reserved for trial in self.now.trials.values())
            assert self.now.counters[-1] + held <= CEILING

    def work_off(self) -> None:
        """Every worker dies; a new one must bring the run to its end, with each trial terminal."""
        self._then(self.die, 0)
        self._then(self.die, 1)
        self._then(self.leap)
        self._then(self.sweep)
        for _ in range(20):
            if self.now.status in FINISHED_STATUSES and not self.now.having("canceled"):
                return
            self._open()
            claimed = self._claim("last", 10, suspects=10)
            self.every_move_is_legal()
            going = self._prepare(claimed)
            self.every_move_is_legal()
            self._then(self._record, [ended(trial, ENDINGS[0]) for trial in going])
            self._then(self.finish)
            self._then(self.leap)
        raise AssertionError(f"{self.now.status}: trials that nobody can finish: {self.now.trials}")

    def _open(self) -> None:
        if self.now.status in (RunStatus.PAUSED, RunStatus.CANCELED):
            self._then(self.command, "resume")
        if self.now.status == RunStatus.PENDING:
            self._then(self.take, 0)

    def _then(self, step: Any, *arguments: Any) -> None:
        step(*arguments)
        self.every_move_is_legal()


def retry_last(access: Access, run: Run) -> int:
    """One of the failed items alone."""
    return run_retry(access, run, list(run.trials.filter(state="errored").values_list("pk", flat=True))[-1:])


COMMANDS: dict[str, Callable[[Access, Run], Any]] = {
    "pause": run_pause,
    "resume": run_resume,
    "cancel": run_cancel,
    "retry": run_retry,
    "retry one": retry_last,
}
