"""Writing a batch of outcomes: trials behind their fence, attempts, scores, counters, log, in one go."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from runs.engine.clock import ago_sql, now_ms_sql
from runs.engine.counting import TALLY_KEYS, TALLY_SUMS, Sums, add, insert_scores, score_row
from runs.engine.judging import Judge, order
from runs.engine.leases import lock_run
from runs.engine.outcomes import Outcome
from runs.engine.rowset import encode, rowset, unestimated
from runs.engine.verdicts import settle
from runs.models import LogLine, Run, cell_size

TRIAL_COLUMNS = {
    "trial": "bigint",
    "fence": "int",
    "state": "text",
    "delay_ms": "bigint",
    "failures": "int",
    "response": "text",
    "finish_reason": "text",
    "error_kind": "text",
    "error": "text",
    "passed": "boolean",
    "answer": "text",
    "latency_ms": "int",
    "first_token_ms": "int",
    "input_tokens": "int",
    "output_tokens": "int",
    "cost": "numeric",
    "cached": "boolean",
    "cache_key": "text",
    "unsent": "int",
    "finished_at": "timestamptz",
}
NOT_COPIED = ("trial", "fence", "delay_ms", "unsent")
ATTEMPT_COLUMNS = {
    "trial": "bigint",
    "number": "int",
    "fence": "int",
    "outcome": "text",
    "status_code": "int",
    "error": "text",
    "retry_after_ms": "int",
    "wait_ms": "bigint",
    "latency_ms": "int",
    "input_tokens": "int",
    "output_tokens": "int",
    "finished_at": "timestamptz",
    "ago_ms": "bigint",
}
MAX_LOGGED_FAILURES = 40


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a batch did: how many rows it wrote, how many came too late, and how the run stands now."""

    written: int
    dropped: int
    status: str
    sequence: int
    done: int
    errored: int
    total: int
    canceled: int
    judgings: tuple[int, ...] = ()  # that got something to judge

    @property
    def left(self) -> int:
        """Trials that have not ended."""
        return self.total - self.done - self.errored - self.canceled


def record(
    run_id: int,
    outcomes: Sequence[Outcome],
    calls: bool,
    lines: Sequence[tuple[str, str]] = (),
    judge: Judge | None = None,
) -> Recorded:
    """Writes what still holds its fence and counts it; the rest is dropped and logged. Safe to repeat.

    What was answered orders the trials of the run's judgings; a judging scores what it judges.
    """
    now = timezone.now()
    with transaction.atomic():
        if judge:
            lock_run(judge.judged_id)
        lock_run(run_id)
        held = _update_trials(outcomes, calls, now) if outcomes else set()
        late = [outcome for outcome in outcomes if (outcome.trial.id, outcome.trial.fence) not in held]
        if late and (paid_for := _reclaimed(run_id, late)):
            held |= _update_trials(paid_for, calls, now)
        kept = [outcome for outcome in outcomes if (outcome.trial.id, outcome.trial.fence) in held]
        sent = [outcome for outcome in outcomes if calls and outcome.sent]
        ended = _finish_attempts(sent, now) if sent else set()
        if judge:
            settle(judge, kept)
        else:
            insert_scores(run_id, _scores(kept))
        state = _count(run_id, kept, judge)
        answered = [it.trial.item_id for it in kept if it.state == "done"]
        judgings = order(run_id, answered) if answered and not judge else ()
        if ended and state.status:
            _spend(state.workspace_id, [it for it in sent if (it.trial.id, it.trial.fence) in ended], now)
        dropped = len(outcomes) - len(kept)
        _log(run_id, kept, dropped, lines, now)
    return Recorded(len(kept), dropped, *state[:6], judgings=judgings)


def _reclaimed(run_id: int, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Of trials that were canceled while their calls were out. Answers are paid for: their trials are taken
    back to be recorded. The others are let go, with what they held back from a ceiling."""
    columns = {"trial": "bigint", "fence": "int", "answered": "boolean"}
    rows = [{"trial": it.trial.id, "fence": it.trial.fence, "answered": it.terminal} for it in outcomes]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE runs_trial SET owner = '', reserved_tokens = 0, reserved_cost = 0,
                state = CASE WHEN v.answered THEN 'leased' ELSE 'canceled' END
            FROM {rowset(columns)}
            WHERE runs_trial.id = v.trial AND runs_trial.fence = v.fence
                AND {unestimated("runs_trial.state = 'canceled'")}
            RETURNING id, runs_trial.state
            """,  # noqa: S608 (constants only)
            [encode(rows)],
        )
        found = {trial for trial, state in cursor.fetchall() if state == "leased"}
    if found:
        Run.objects.filter(pk=run_id).update(canceled=F("canceled") - len(found))
    return [outcome for outcome in outcomes if outcome.trial.id in found]


def _stamp(moment: datetime) -> str:
    """Naive UTC text, as Django's SQLite stores it; PostgreSQL's session reads it as UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _update_trials(outcomes: Sequence[Outcome], calls: bool, now: datetime) -> set[tuple[int, int]]:
    stamp = _stamp(now)
    rows = [
        {
            "trial": it.trial.id,
            "fence": it.trial.fence,
            "state": it.state,
            "delay_ms": it.delay_ms,
            "failures": it.trial.failures + (it.state in ("waiting", "errored") and it.counts),
            "response": it.response,
            "finish_reason": it.finish_reason[:40],
            "error_kind": it.error_kind,
            "error": it.error,
            "passed": it.passed,
            "answer": it.verdicts[0][1].answer if it.verdicts else "",
            "latency_ms": it.latency_ms,
            "first_token_ms": it.first_token_ms,
            "input_tokens": it.input_tokens,
            "output_tokens": it.output_tokens,
            "cost": it.cost,
            "cached": it.cached,
            "cache_key": it.cache_key if it.state == "done" else "",
            "unsent": int(calls and not it.sent),
            "finished_at": stamp if it.terminal else None,
        }
        for it in outcomes
    ]
    copied = ", ".join(f"{name} = v.{name}" for name in TRIAL_COLUMNS if name not in NOT_COPIED)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE runs_trial SET owner = '', reserved_tokens = 0, reserved_cost = 0, {copied},
                attempt_count = attempt_count - v.unsent,
                not_before_ms = CASE WHEN v.delay_ms > 0 THEN {now_ms_sql()} + v.delay_ms ELSE 0 END
            FROM {rowset(TRIAL_COLUMNS)}
            WHERE runs_trial.id = v.trial AND runs_trial.fence = v.fence
                AND {unestimated("runs_trial.state = 'leased'")}
            RETURNING id, runs_trial.fence
            """,  # noqa: S608 (constants only)
            [encode(rows)],
        )
        return {(row[0], row[1]) for row in cursor.fetchall()}


def _finish_attempts(outcomes: Sequence[Outcome], now: datetime) -> set[tuple[int, int]]:
    """Also of trials that lost their lease: the call was made, so what came of it is on record. Once:
    returns the (trial, fence) of those whose end was not known before."""
    stamp, clock_s = _stamp(now), time.monotonic()
    rows = [
        {
            "trial": it.trial.id,
            "number": it.trial.attempt,
            "fence": it.trial.fence,
            "outcome": it.attempt_outcome,
            "status_code": it.status_code,
            "error": it.attempt_error,
            "retry_after_ms": it.retry_after_ms,
            "wait_ms": it.delay_ms if it.state == "waiting" else None,
            "latency_ms": it.latency_ms,
            "input_tokens": it.input_tokens,
            "output_tokens": it.output_tokens,
            "finished_at": stamp,
            "ago_ms": round(1000 * (clock_s - it.began)) if it.began else None,
        }
        for it in outcomes
    ]
    known = ("trial", "number", "fence", "ago_ms")
    copied = ", ".join(f"{name} = v.{name}" for name in ATTEMPT_COLUMNS if name not in known)
    began = f"COALESCE({ago_sql('v.ago_ms')}, runs_attempt.started_at)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE runs_attempt SET {copied}, started_at = {began}
            FROM {rowset(ATTEMPT_COLUMNS)}
            WHERE runs_attempt.trial_id = v.trial AND runs_attempt.number = v.number
                AND runs_attempt.fence = v.fence AND {unestimated("runs_attempt.outcome IN ('open', 'lost')")}
            RETURNING runs_attempt.trial_id, runs_attempt.fence
            """,  # noqa: S608 (constants only)
            [encode(rows)],
        )
        return {(row[0], row[1]) for row in cursor.fetchall()}


def _scores(kept: Iterable[Outcome]) -> list[dict[str, Any]]:
    return [score_row(it.trial.id, name, verdict) for it in kept for name, verdict in it.verdicts]


class Standing(NamedTuple):
    """How a run stands; its status is empty when it is gone."""

    status: str = ""
    sequence: int = 0
    done: int = 0
    errored: int = 0
    total: int = 0
    canceled: int = 0
    workspace_id: int = 0


def _count(run_id: int, kept: Sequence[Outcome], judge: Judge | None) -> Standing:
    """Moves the run's counters, tallies and grid cells; a judging, which grows, has the counters alone."""
    done = [it for it in kept if it.state == "done"]
    costs = [it.cost for it in kept if it.cost is not None]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE runs_run SET done = done + %s, errored = errored + %s, answered = answered + %s,
                retried = retried + %s, cached = cached + %s,
                input_tokens = input_tokens + %s, output_tokens = output_tokens + %s,
                cost = CASE WHEN %s THEN COALESCE(cost, 0) + CAST(%s AS numeric) ELSE cost END,
                usage_estimated = usage_estimated OR %s, sequence = sequence + 1
            WHERE id = %s RETURNING status, sequence, done, errored, total, canceled, workspace_id
            """,
            [
                len(done),
                sum(it.state == "errored" for it in kept),
                sum(it.answered for it in done),
                sum(it.attempts > 1 for it in done),
                sum(it.cached for it in done),
                sum(it.input_tokens or 0 for it in kept),
                sum(it.output_tokens or 0 for it in kept),
                bool(costs),
                str(sum(costs, Decimal(0))),
                any(it.usage_estimated for it in kept),
                run_id,
            ],
        )
        row = cursor.fetchone()
    if row is None:
        return Standing()
    standing = Standing(*row)
    if not judge:
        _count_cells(run_id, kept, standing.total)
        _count_tallies(run_id, done)
    return standing


def _spend(workspace_id: int, sent: Sequence[Outcome], now: datetime) -> None:
    """Adds to the workspace's month, also what came too late to count for the run: it was paid for."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO runs_monthlyspend (workspace_id, month, cost, tokens, calls)
            VALUES (%s, %s, CAST(%s AS numeric), %s, %s)
            ON CONFLICT (workspace_id, month) DO UPDATE SET cost = runs_monthlyspend.cost + excluded.cost,
                tokens = runs_monthlyspend.tokens + excluded.tokens,
                calls = runs_monthlyspend.calls + excluded.calls
            """,
            [
                workspace_id,
                now.date().replace(day=1),
                str(sum((it.cost for it in sent if it.cost is not None), Decimal(0))),
                sum((it.input_tokens or 0) + (it.output_tokens or 0) for it in sent),
                len(sent),
            ],
        )


def _count_cells(run_id: int, kept: Sequence[Outcome], total: int) -> None:
    size = cell_size(total)
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for it in kept:
        if it.terminal:
            cell = sums[(it.trial.seq - 1) // size]
            cell[0] += it.state == "done"
            cell[1] += it.passed is True
            cell[2] += it.state == "errored"
    rows = [
        {"cell": cell, "done": done, "passed": passed, "errored": bad}
        for cell, (done, passed, bad) in sums.items()
    ]
    add(run_id, "runs_gridcell", {"cell": "int"}, {"done": "int", "passed": "int", "errored": "int"}, rows)


def _count_tallies(run_id: int, done: Sequence[Outcome]) -> None:
    sums = Sums()
    for it in done:
        for name, verdict in it.verdicts:
            sums.add(name, it.trial.section, verdict.value, verdict.passed)
    add(run_id, "runs_tally", TALLY_KEYS, TALLY_SUMS, sums.rows())


def _log(
    run_id: int, kept: Sequence[Outcome], dropped: int, lines: Sequence[tuple[str, str]], now: datetime
) -> None:
    failed = [it for it in kept if it.attempt_outcome not in ("ok", "aborted")]
    texts = [_failure_line(it) for it in failed[:MAX_LOGGED_FAILURES]]
    if len(failed) > MAX_LOGGED_FAILURES:
        texts.append(
            ("warn", f"and {len(failed) - MAX_LOGGED_FAILURES} more failed attempts at the same moment")
        )
    if dropped:
        texts.append(
            (
                "warn",
                f"{dropped} late answers dropped: their items had been given to another worker or stopped",
            )
        )
    texts += lines
    if texts and Run.objects.filter(pk=run_id).exists():
        LogLine.objects.bulk_create(
            LogLine(run_id=run_id, at=now, level=level, text=text) for level, text in texts
        )


def _failure_line(it: Outcome) -> tuple[str, str]:
    what = (it.error or it.attempt_error.partition("\n")[0]).removesuffix(".")
    if it.state == "errored":
        return "error", f"item {it.trial.seq}: {what}; given up after attempt {it.trial.attempt}"
    if it.stops_run:
        return "error", f"item {it.trial.seq}: {what}; the run waits (attempt {it.trial.attempt})"
    wait = f"again in {it.delay_ms / 1000:.1f} s" if it.delay_ms else "again at once"
    return "warn", f"item {it.trial.seq}: {what}; {wait} (attempt {it.trial.attempt})"
