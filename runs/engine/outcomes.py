"""What came of one attempt, as plain data on its way to the database."""

from dataclasses import dataclass, field
from decimal import Decimal

from judges.scorers import Subject, Verdict
from runs.engine.leases import Claimed


@dataclass(slots=True)
class Outcome:
    """The trial's next state (done, errored, waiting or pending) and what the attempt on record becomes.

    `delay_ms` is how long a waiting trial waits; `counts` whether the failure uses up an attempt;
    `sent` whether an attempt is on record for it at all; `stops_run` says why the run must wait for a
    person. `began` is when its call went out, on the
    process's monotonic clock, or 0 when that is not known; `subject` what has yet to get its verdicts.
    """

    trial: Claimed
    state: str
    attempt_outcome: str = "ok"
    response: str = ""
    finish_reason: str = ""
    error_kind: str = ""
    error: str = ""
    delay_ms: int = 0
    counts: bool = True
    sent: bool = True
    stops_run: str = ""
    began: float = 0.0
    cached: bool = False
    cache_key: str = ""
    latency_ms: int | None = None
    first_token_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    usage_estimated: bool = False
    cost: Decimal | None = None
    status_code: int | None = None
    attempt_error: str = ""
    retry_after_ms: int | None = None
    subject: Subject | None = None
    verdicts: list[tuple[str, Verdict]] = field(default_factory=list)

    @property
    def terminal(self) -> bool:
        return self.state in ("done", "errored")

    @property
    def passed(self) -> bool | None:
        """The first scorer's verdict."""
        return self.verdicts[0][1].passed if self.verdicts else None

    @property
    def answered(self) -> bool:
        return self.state == "done" and bool(self.response.strip())

    @property
    def attempts(self) -> int:
        """Calls on record for the trial, this one with them."""
        return self.trial.attempt if self.sent else self.trial.attempt - 1
