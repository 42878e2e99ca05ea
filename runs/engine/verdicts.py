"""Judges' verdicts become scores of the trials that they judge, with every counter they move.

In the transaction that records the judge's answers, which holds the rows of the judged run and of the
judging, in this order.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count, F, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from judges.scorers import Verdict
from judges.scorers.base import unscored
from judges.verdicts import REASONS, NoVerdict
from runs.engine.counting import TALLY_KEYS, TALLY_SUMS, Sums, add, change, insert_scores, score_row
from runs.engine.judging import Judge
from runs.engine.outcomes import Outcome
from runs.engine.reading import said_of
from runs.engine.rowset import among, encode, rowset
from runs.engine.votes import CALL_FAILED, EMBEDDING_FAILED, Ballot, Vote, combined, of_panel, said_in
from runs.models import GridCell, Run, RunStatus, Score, Tally, Trial, TrialState, cell_size

ENDED = (TrialState.DONE, TrialState.ERRORED)
DECIDED_AT_ONCE = 1_000
ABSENT = unscored("its judging was canceled")
Key = tuple[int, str]  # a judged trial, a scorer


class Place(NamedTuple):
    """Where a judged trial stands in its run."""

    seq: int
    section: str


def settle(judge: Judge, outcomes: Iterable[Outcome]) -> None:
    """Scores what all passes over it have ended for."""
    ended = [it for it in outcomes if it.terminal and it.trial.judged]
    places = {it.trial.judged or 0: Place(judge.place(it.trial.seq), it.trial.section) for it in ended}
    if judge.passes > 1:
        _score(judge, places, votes_on(judge, places))
    elif places:
        _score(judge, places, {it.trial.judged or 0: [_vote(judge, it)] for it in ended})


def settle_trials(judge: Judge, trials: Sequence[Trial]) -> None:
    """The same for trials of the judging that ended without an answer of their own."""
    places = {
        trial.judged_id: Place(judge.place(trial.seq), trial.section) for trial in trials if trial.judged_id
    }
    _score(judge, places, votes_on(judge, places))


def _vote(judge: Judge, it: Outcome) -> Vote:
    said = said_in(it.verdicts[0][1]) if it.verdicts else no_verdict(judge, it.error_kind, it.error)
    return Vote(it.trial.seq, judge.swapped(it.trial.epoch), said)


def no_verdict(judge: Judge, kind: str, error: str) -> NoVerdict:
    """Of a pass that ended without one: the judge's own reasons stand as they are."""
    if kind in REASONS:
        return NoVerdict(kind, error.partition(": ")[2])
    return NoVerdict(EMBEDDING_FAILED if judge.semantic else CALL_FAILED, error)


def votes_on(judge: Judge, judged: Collection[int]) -> dict[int, list[Vote]]:
    """By judged trial, in the order of the passes; only of passes that have ended."""
    trials = Trial.objects.filter(run=judge.run_id, judged__in=among(judged), state__in=ENDED)
    votes: dict[int, list[Vote]] = defaultdict(list)
    fields = ("judged_id", "seq", "epoch", "state", "response", "finish_reason", "error_kind", "error")
    for judged_id, seq, epoch, state, response, finish_reason, kind, error in trials.order_by(
        "seq"
    ).values_list(*fields):
        swapped = judge.swapped(epoch)
        said = (
            said_of(judge, response, swapped, finish_reason)
            if state == TrialState.DONE
            else no_verdict(judge, kind, error)
        )
        votes[judged_id or 0].append(Vote(seq, swapped, said))
    return votes


def _score(judge: Judge, places: Mapping[int, Place], votes: Mapping[int, Sequence[Vote]]) -> None:
    ballots = {
        (judged, judge.scorer): combined(judge.frozen, given)
        for judged, given in votes.items()
        if len(given) == judge.passes
    }
    if not ballots:
        return
    if judge.panel:
        said = {key: ballot.verdict for key, ballot in ballots.items()}
        ballots |= _panel(judge.judged_id, judge.panel, judge.frozen, said)
    _write(judge.judged_id, places, ballots)


def _write(judged_id: int, places: Mapping[int, Place], ballots: Mapping[Key, Ballot]) -> None:
    before = _known({judged for judged, _ in ballots}, {scorer for _, scorer in ballots})
    rows = [
        {**score_row(judged, scorer, ballot.verdict), "detail": ballot.detail}
        for (judged, scorer), ballot in ballots.items()
    ]
    insert_scores(judged_id, rows)
    _count(judged_id, places, ballots, before)
    _lead(judged_id, places, ballots, before)
    Run.objects.filter(pk=judged_id).update(sequence=F("sequence") + 1)


def _known(judged: Collection[int], scorers: Collection[str]) -> dict[Key, Verdict]:
    rows = Score.objects.filter(trial__in=among(judged), scorer__in=scorers).order_by()
    fields = ("trial_id", "scorer", "value", "passed", "answer", "explanation", "unscored_reason")
    return {(row[0], row[1]): Verdict(*row[2:]) for row in rows.values_list(*fields)}


def _panel(
    judged_id: int, panel: str, frozen: Mapping[str, Any], said: Mapping[Key, Verdict]
) -> dict[Key, Ballot]:
    """The panel's verdict on those that all its members have judged by now. A member whose judging was
    canceled is waited for no longer: it has no vote where it has not spoken."""
    rows = Run.objects.filter(judged=judged_id, panel=panel).order_by("pk")
    members = dict(rows.values_list("scorer", "status"))
    judged = {trial for trial, _ in said}
    known = _known(judged, members) | dict(said)
    silent = {name for name, status in members.items() if status == RunStatus.CANCELED}
    return {
        (trial, panel): of_panel(frozen, {name: known.get((trial, name), ABSENT) for name in members})
        for trial in judged
        if members and all((trial, name) in known or name in silent for name in members)
    }


def settle_panels(judged_id: int) -> None:
    """Lets the panels of a run decide where they only waited for members that are canceled now.

    In the caller's transaction, which holds the run's row.
    """
    judgings = Run.objects.filter(judged=judged_id).exclude(panel="").order_by("pk").only("panel", "config")
    for panel, judging in {each.panel: each for each in judgings}.items():
        names = Run.objects.filter(judged=judged_id, panel=panel).values("scorer")
        decided = Score.objects.filter(run=judged_id, scorer=panel).values("trial")
        spoken = Score.objects.filter(run=judged_id, scorer__in=names).exclude(trial__in=decided)
        waiting = sorted(set(spoken.values_list("trial_id", flat=True).order_by()))
        for start in range(0, len(waiting), DECIDED_AT_ONCE):
            _decide(judged_id, panel, judging.config["judge"], waiting[start : start + DECIDED_AT_ONCE])


def _decide(judged_id: int, panel: str, frozen: Mapping[str, Any], trials: Sequence[int]) -> None:
    names = Run.objects.filter(judged=judged_id, panel=panel).values_list("scorer", flat=True)
    ballots = _panel(judged_id, panel, frozen, _known(trials, list(names)))
    if ballots:
        rows = Trial.objects.filter(pk__in=among([trial for trial, _ in ballots]))
        places = {pk: Place(seq, section) for pk, seq, section in rows.values_list("pk", "seq", "section")}
        _write(judged_id, places, ballots)


def _count(
    judged_id: int, places: Mapping[int, Place], ballots: Mapping[Key, Ballot], before: Mapping[Key, Verdict]
) -> None:
    sums = Sums()
    for (judged, scorer), ballot in ballots.items():
        section = places[judged].section
        sums.add(scorer, section, ballot.verdict.value, ballot.verdict.passed)
        if (judged, scorer) in before:
            earlier = before[judged, scorer]
            sums.add(scorer, section, earlier.value, earlier.passed, sign=-1)
    write = change if before else add
    write(judged_id, "runs_tally", TALLY_KEYS, TALLY_SUMS, sums.rows())


def _lead(
    judged_id: int, places: Mapping[int, Place], ballots: Mapping[Key, Ballot], before: Mapping[Key, Verdict]
) -> None:
    """The first scorer's verdict stands on the trial itself and colours the grid."""
    run = Run.objects.only("total", "config").get(pk=judged_id)
    first = next(iter(run.scorer_names), "")
    leading = {judged: ballot.verdict for (judged, scorer), ballot in ballots.items() if scorer == first}
    if not leading:
        return
    rows = [
        {"trial": judged, "passed": verdict.passed, "answer": verdict.answer}
        for judged, verdict in leading.items()
    ]
    columns = {"trial": "bigint", "passed": "boolean", "answer": "text"}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE runs_trial SET passed = v.passed, answer = v.answer FROM {rowset(columns)}
            WHERE runs_trial.id = v.trial
            """,  # noqa: S608 (constants only)
            [encode(rows)],
        )
    moved: dict[int, int] = defaultdict(int)
    for judged, verdict in leading.items():
        earlier = before.get((judged, first))
        gained = (verdict.passed is True) - (earlier is not None and earlier.passed is True)
        moved[(places[judged].seq - 1) // cell_size(run.total)] += gained
    cells: list[dict[str, Any]] = [{"cell": cell, "passed": n} for cell, n in moved.items() if n]
    change(judged_id, "runs_gridcell", {"cell": "int"}, {"passed": "int"}, cells)


def withdraw(judged_id: int, scorers: Collection[str], *, leading: bool) -> None:
    """Takes off a run what these scorers have said, also off its trials and grid where one was the first.
    The next scorer in line then leads. In the caller's transaction, which holds the run's row."""
    Score.objects.filter(run=judged_id, scorer__in=scorers).delete()
    Tally.objects.filter(run=judged_id, scorer__in=scorers).delete()
    if not leading:
        return
    run = Run.objects.get(pk=judged_id)
    said = Score.objects.filter(trial=OuterRef("pk"), scorer=next(iter(run.scorer_names), ""))
    Trial.objects.filter(run=judged_id).update(
        passed=Subquery(said.values("passed")[:1]),
        answer=Coalesce(Subquery(said.values("answer")[:1]), Value("")),
    )
    right = Trial.objects.filter(run=judged_id, state=TrialState.DONE, passed=True)
    cells = right.annotate(cell=(F("seq") - 1) / cell_size(run.total)).values("cell").annotate(n=Count("pk"))
    counted = [{"cell": int(row["cell"]), "passed": row["n"]} for row in cells.order_by()]
    GridCell.objects.filter(run=judged_id).update(passed=0)
    change(judged_id, "runs_gridcell", {"cell": "int"}, {"passed": "int"}, counted)
