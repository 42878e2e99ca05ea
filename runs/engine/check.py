"""Proof that a run's counters equal what COUNT(*) says of its rows."""

from typing import Any

from django.db.models import Count, F, Q, Sum

from runs.engine.reading import UNREADABLE
from runs.models import Attempt, GridCell, Run, Score, Tally, Trial, TrialState, cell_size


def check_run(run_id: int) -> dict[str, tuple[Any, Any]]:
    """Every counter that differs: name → (kept, counted). Empty when all agree."""
    run = Run.objects.get(pk=run_id)
    pairs = {**_run_pairs(run), **_tally_pairs(run)}
    pairs |= _verdict_pairs(run) if run.judged_id else _cell_pairs(run)
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _run_pairs(run: Run) -> dict[str, tuple[Any, Any]]:
    done = Q(state=TrialState.DONE)
    counted = Trial.objects.filter(run=run).aggregate(
        total=Count("id"),
        done=Count("id", filter=done),
        errored=Count("id", filter=Q(state=TrialState.ERRORED)),
        canceled=Count("id", filter=Q(state=TrialState.CANCELED)),
        retried=Count("id", filter=done & Q(attempt_count__gt=1)),
        cached=Count("id", filter=done & Q(cached=True)),
        input_tokens=Sum("input_tokens", filter=done, default=0),
        output_tokens=Sum("output_tokens", filter=done, default=0),
    )
    answered = sum(
        1
        for text in Trial.objects.filter(done, run=run).values_list("response", flat=True).iterator()
        if text.strip()
    )
    unread = Attempt.objects.filter(run=run, outcome=UNREADABLE).aggregate(
        input_tokens=Sum("input_tokens", default=0), output_tokens=Sum("output_tokens", default=0)
    )
    counted |= {name: counted[name] + tokens for name, tokens in unread.items()}
    if not run.trials_made:
        counted |= {"total": counted["total"] or run.total, "canceled": counted["canceled"] or run.canceled}
    return {name: (getattr(run, name), value) for name, value in {**counted, "answered": answered}.items()}


def _tally_pairs(run: Run) -> dict[str, tuple[Any, Any]]:
    kept = {
        (row["scorer"], row["section"]): (row["scored"], row["passed"], row["unscored"])
        for row in Tally.objects.filter(run=run).values("scorer", "section", "scored", "passed", "unscored")
    }
    rows = (
        Score.objects.filter(run=run)
        .values("scorer", part=F("trial__section"))
        .annotate(
            scored=Count("id", filter=Q(value__isnull=False)),
            right=Count("id", filter=Q(passed=True)),
            unscored=Count("id", filter=Q(value=None)),
        )
    )
    counted = {
        (row["scorer"], row["part"]): (row["scored"], row["right"], row["unscored"])
        for row in rows.order_by()
    }
    return {f"tally {key}": (kept.get(key), counted.get(key)) for key in {**kept, **counted}}


def _verdict_pairs(run: Run) -> dict[str, tuple[Any, Any]]:
    """Of a judging: a score, once, for each trial that all of its passes are over for."""
    ended = Count("id", filter=Q(state__in=(TrialState.DONE, TrialState.ERRORED)))
    passes = Trial.objects.filter(run=run).order_by().values("judged").annotate(ended=ended)
    judged = passes.filter(ended__gte=run.passes).count()
    return {"verdicts": (Score.objects.filter(trial__run=run.judged_id, scorer=run.scorer).count(), judged)}


def _cell_pairs(run: Run) -> dict[str, tuple[Any, Any]]:
    size, counted = cell_size(run.total), dict[int, list[int]]()
    for seq, state, passed in Trial.objects.filter(run=run).values_list("seq", "state", "passed").iterator():
        cell = counted.setdefault((seq - 1) // size, [0, 0, 0])
        cell[0] += state == TrialState.DONE
        cell[1] += state == TrialState.DONE and passed is True
        cell[2] += state == TrialState.ERRORED
    kept = {row.cell: [row.done, row.passed, row.errored] for row in GridCell.objects.filter(run=run)}
    return {f"cell {cell}": (kept.get(cell, [0, 0, 0]), sums) for cell, sums in counted.items()}
