"""Log lines about progress: at every tenth of the run, and now and then in between."""

import time
from collections.abc import Sequence

from runs.engine.outcomes import Outcome

SAY_EVERY_S = 10.0


class Progress:
    """Counts what one slice recorded on top of what was there; says little, but regularly."""

    def __init__(self, total: int, done: int = 0, correct: int = 0, scored: int = 0):
        self.total, self.done, self.correct, self.scored = total, done, correct, scored
        self._said_at = time.monotonic()
        self._said_tenth = self._tenth()

    def _tenth(self) -> int:
        return 10 * self.done // self.total if self.total else 0

    def lines(self, batch: Sequence[Outcome]) -> list[tuple[str, str]]:
        """(level, text) lines to log with this batch, most often none."""
        terminal = [outcome for outcome in batch if outcome.terminal]
        self.done += len(terminal)
        self.correct += sum(outcome.passed is True for outcome in terminal)
        self.scored += sum(outcome.passed is not None for outcome in terminal)
        late = time.monotonic() - self._said_at > SAY_EVERY_S
        if not terminal or not (late or self._tenth() > self._said_tenth):
            return []
        self._said_at, self._said_tenth = time.monotonic(), self._tenth()
        return [("info", self.processing()), *([("info", self.accuracy())] if self.scored else [])]

    def processing(self) -> str:
        return f"Processing: {self.done}/{self.total} ({100 * self.done // max(1, self.total)} %)"

    def accuracy(self) -> str:
        return f"accuracy={100 * self.correct / self.scored:.2f} % correct={self.correct}/{self.scored}"
