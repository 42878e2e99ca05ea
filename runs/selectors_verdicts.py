"""What a run's judges found, in the figures that evaluation services publish: a dataclass a kind."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count

from judges.metrics import Estimate, mean_estimate, proportion
from runs.metrics import Sums
from runs.models import FINISHED_STATUSES, Run, Trial, TrialState
from runs.selectors_judges import JudgeRow, rows_of

INVALID = ("invalid_label", "out_of_range")
ENDED = (TrialState.DONE, TrialState.ERRORED)


@dataclass(frozen=True, kw_only=True)
class JudgeFigures:
    """Of one judge, panel or member of a panel, in responses unless said otherwise.

    `n` have a verdict, which is what every share and mean is over; `unscored` have none, in spite of asking.
    Failures and invalid answers are of calls that were given up: `judge_failures` without a verdict that can
    be read, `invalid` with a label that was not given or a score out of range. `generation_failures` have
    no response to judge. `unreadable` is the share of answered calls without a readable verdict in spite of
    asking again, `consistent` that of responses whose repeats all say the same.
    """

    name: str
    kind: str
    n: int
    unscored: int
    generation_failures: int
    judge_failures: int
    invalid: int
    unreadable: Estimate | None
    consistent: Estimate | None

    def as_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        return fields | {
            name: value.as_dict() for name, value in vars(self).items() if isinstance(value, Estimate)
        }


@dataclass(frozen=True, kw_only=True)
class ClassifyFigures(JudgeFigures):
    """`passed` is the share of responses whose label passes, with its Wilson interval."""

    labels: Mapping[str, int]
    passed: Estimate | None


@dataclass(frozen=True, kw_only=True)
class ScoreFigures(JudgeFigures):
    """`mean` with its t interval, `standard_deviation` of the sample (n - 1), and the share that passes."""

    mean: Estimate | None
    standard_deviation: float | None
    passed: Estimate | None


@dataclass(frozen=True, kw_only=True)
class CompareFigures(JudgeFigures):
    """A is the judged run, B its opponent. `a_wins`, `b_wins`, `ties` and `judge_failures` are over all
    passes, the others over responses: `wins`, `losses` and `draws` need agreement of both orders.

    `win_rate` counts draws as half, with its t interval; `sign_p` is the exact sign test of wins against
    losses; `flips` is the share of responses judged in both orders whose verdict changed with the order.
    """

    a_wins: int
    b_wins: int
    ties: int
    wins: int
    losses: int
    draws: int
    win_rate: Estimate | None
    sign_p: float | None
    flips: Estimate | None


def judge_figures(run: Run) -> list[JudgeFigures]:
    """In the order of asking. Needs the tallies; two queries, one a judging, and counts that are kept."""
    return [_figures(run, row) for row in rows_of(run, run.config.get("judges", []))]


@dataclass(frozen=True)
class _Passes:
    """What came of a judging's calls."""

    answers: Mapping[str, int]
    failed: int
    invalid: int


def _figures(run: Run, row: JudgeRow) -> JudgeFigures:
    passes, sums = _passes(row), row.sums
    shared: dict[str, Any] = {
        "name": row.entry["name"],
        "kind": row.entry["kind"],
        "n": sums.scored,
        "unscored": sums.unscored,
        "generation_failures": run.errored + _without_opponent(run, row.judging),
        "judge_failures": passes.failed,
        "invalid": passes.invalid,
        "unreadable": row.said.unreadable,
        "consistent": row.said.consistent,
    }
    if row.entry["kind"] == "classify":
        return ClassifyFigures(**shared, labels=row.said.answers, passed=_share(sums.passed, sums.scored))
    if row.entry["kind"] == "score":
        return ScoreFigures(
            **shared,
            mean=_mean(sums),
            standard_deviation=row.standard_deviation,
            passed=_share(sums.passed, sums.scored),
        )
    said = row.said
    return CompareFigures(
        **shared,
        a_wins=passes.answers.get("A", 0),
        b_wins=passes.answers.get("B", 0),
        ties=passes.answers.get("tie", 0),
        wins=said.answers.get("A", 0),
        losses=said.answers.get("B", 0),
        draws=said.answers.get("tie", 0),
        win_rate=_mean(sums),
        sign_p=row.sign_p,
        flips=row.flips,
    )


def _passes(row: JudgeRow) -> _Passes:
    """A panel makes no calls of its own."""
    if row.judging is None:
        return _Passes(row.said.answers, row.sums.unscored, 0)
    ended = Trial.objects.filter(run=row.judging, state__in=ENDED).order_by()
    answers: dict[str, int] = {}
    failed = invalid = 0
    for state, answer, kind, n in ended.values_list("state", "answer", "error_kind").annotate(n=Count("pk")):
        if state == TrialState.DONE:
            answers[answer] = answers.get(answer, 0) + n
        elif kind in INVALID:
            invalid += n
        else:
            failed += n
    return _Passes(answers, failed, invalid)


def _without_opponent(run: Run, judging: Run | None) -> int:
    """Responses that have nothing to be compared with, once that is known."""
    if judging is None or judging.opponent is None or judging.opponent.status not in FINISHED_STATUSES:
        return 0
    return max(0, run.done - judging.total // max(1, judging.passes))


def _share(k: int, n: int) -> Estimate | None:
    return proportion(k, n) if n else None


def _mean(sums: Sums) -> Estimate | None:
    return mean_estimate(sums.value_sum, sums.value_sum_squares, sums.scored) if sums.scored else None
