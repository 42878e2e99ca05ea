"""An item that was asked again: what came of it, beside the answer that the run had first."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Prefetch

from analysis.models import TriagedItem
from analysis.selectors import Cell
from evalportal.lib.ui import interval, percent, plural
from judges.metrics import proportion
from runs.models import Run, Score, Trial, TrialState

WAITING = (TrialState.PENDING, TrialState.LEASED, TrialState.WAITING)


@dataclass(frozen=True, slots=True)
class Again:
    """`cells` are the answers so far; `flaky` is None until all are in, and where nothing tells."""

    run: Run
    cells: Sequence[Cell]
    total: int
    flaky: bool | None
    words: str

    @property
    def finished(self) -> bool:
        return self.run.is_finished


def asked_again(row: TriagedItem, scorer: str, first: Cell) -> Again | None:
    """The latest run that asked the item again, if it is still there; three queries."""
    run = Run.objects.filter(pk=row.again_id or 0, workspace=row.workspace_id).first()
    if run is None:
        return None
    scores = Prefetch("scores", Score.objects.filter(scorer=scorer), to_attr="by_scorer")
    trials = run.trials.exclude(state__in=WAITING).prefetch_related(scores).order_by("epoch")
    cells = [_cell(trial) for trial in trials]
    if not run.is_finished:
        return Again(run, cells, run.total, None, f"{len(cells)} of {run.total} answers so far.")
    flaky, words = judged(first, cells)
    return Again(run, cells, run.total, flaky, words)


def _cell(trial: Trial) -> Cell:
    score: Score | None = next(iter(getattr(trial, "by_scorer", ())), None)
    passed = None if score is None or score.passed is None else float(score.passed)
    return Cell("", trial, score, passed, score.value if score else None)


def judged(first: Cell, cells: Sequence[Cell]) -> tuple[bool | None, str]:
    """Flaky where verdicts, or without verdicts the answers, are not all as the first one."""
    known = [cell for cell in cells if cell.score is not None and cell.score.value is not None]
    missing = len(cells) - len(known)
    left = f" {plural(missing, 'answer,answers')} without a score." if missing else ""
    if not known or first.score is None:
        return None, f"No answer can be set beside the first.{left}"
    if any(cell.score is None or cell.score.passed is None for cell in [first, *known]):
        answers = {cell.answer or cell.value for cell in [first, *known]}
        same = "the same answer every time" if len(answers) == 1 else f"{len(answers)} different answers"
        return len(answers) > 1, f"{'Flaky' if len(answers) > 1 else 'Not flaky'}: {same}.{left}"
    return _by_verdict(first.right == 1, [cell.right == 1 for cell in known], left)


def _by_verdict(before: bool, now: Sequence[bool], left: str) -> tuple[bool, str]:
    share = proportion(sum(now), len(now))
    figure = f"{percent(share.value)} {interval(share.low, share.high)}, n = {len(now)}"
    then = "right" if before else "wrong"
    if set(now) == {before}:
        return False, f"Not flaky: {then} all {len(now)} times again; right in {figure}.{left}"
    return True, f"Flaky: {then} first, then right {sum(now)} of {len(now)} times; right in {figure}.{left}"
