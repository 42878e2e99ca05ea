"""What was launched and what came of it: evaluations, runs, trials, attempts, scores, log lines.

Counters (on Run, Tally and GridCell) move in the same transaction as the trials they count;
`runs.engine.check.check_run` compares them with COUNT(*). Times that the engine compares are
milliseconds since the epoch by the database's clock (`…_ms`), so both databases agree on them.
"""

from runs.models.answers import BY_HAND, HandAnswer, mark_of
from runs.models.engine import MonthlySpend, ProviderDemand, ProviderHold, PumpLease, Worker
from runs.models.runs import GRID_CELLS, Evaluation, GridCell, LogLine, Run, Tally, cell_size
from runs.models.states import ACTIVE_STATUSES, FINISHED_STATUSES, LIVE_STATES, RunStatus, TrialState
from runs.models.trials import Attempt, Score, Trial

__all__ = [
    "ACTIVE_STATUSES",
    "BY_HAND",
    "FINISHED_STATUSES",
    "GRID_CELLS",
    "LIVE_STATES",
    "Attempt",
    "Evaluation",
    "GridCell",
    "HandAnswer",
    "LogLine",
    "MonthlySpend",
    "ProviderDemand",
    "ProviderHold",
    "PumpLease",
    "Run",
    "RunStatus",
    "Score",
    "Tally",
    "Trial",
    "TrialState",
    "Worker",
    "cell_size",
    "mark_of",
]
