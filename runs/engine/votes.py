"""From what a judge says in several passes, or several judges in a panel, to one verdict. Pure functions.

A vote without a verdict is left out, never counted as 0; too few of them leave the trial unscored.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from judges.scorers import Verdict
from judges.scorers.base import unscored

SINGLE_PASS, FLIPPED, MISSING = "single_pass", "flipped", "missing_votes"
TIE = "tie"
MIDDLE = 0.5  # of a comparison's or a classification's values
Frozen = Mapping[str, Any]
Detail = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Vote:
    """What came of one pass, the judging's trial `seq`: a verdict, or why there is none."""

    seq: int
    swapped: bool
    verdict: Verdict | None
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        said = self.verdict
        return {
            "seq": self.seq,
            "swapped": self.swapped,
            "answer": said.answer if said else "",
            "value": said.value if said else None,
            "feedback": said.explanation if said else "",
            "error": self.error,
        }


class Ballot(NamedTuple):
    """A verdict and what it came from, for Score.detail."""

    verdict: Verdict
    detail: Detail


def combined(frozen: Frozen, votes: Sequence[Vote]) -> Ballot:
    """Of all passes over one response."""
    if len(votes) == 1:
        return Ballot(votes[0].verdict or _failed(votes), None)
    flags = []
    if frozen.get("both_orders"):
        pairs = [_pair(votes[at : at + 2]) for at in range(0, len(votes), 2)]
        flags = sorted({flag for _, flag in pairs if flag})
        valid = [verdict for verdict, _ in pairs if verdict]
    else:
        valid = [vote.verdict for vote in votes if vote.verdict]
        flags = [MISSING] if len(valid) < len(votes) else []
    detail = {"flags": flags, "passes": [vote.as_dict() for vote in votes]}
    return Ballot(polled(frozen, valid) if valid else _failed(votes), detail)


def _failed(votes: Sequence[Vote]) -> Verdict:
    return unscored(f"the judge failed: {votes[0].error}")


def _pair(votes: Sequence[Vote]) -> tuple[Verdict | None, str]:
    """Of both orders: a winner needs agreement, a pass that failed leaves the decision to the other one."""
    valid = [vote.verdict for vote in votes if vote.verdict]
    if len(valid) < 2:
        return (valid[0], SINGLE_PASS) if valid else (None, "")
    first, second = valid
    if first.answer == second.answer:
        return first, ""
    words = f"{first.answer} in the first order, {second.answer} with the order swapped: a tie"
    return Verdict(MIDDLE, False, TIE, words), FLIPPED


def polled(frozen: Frozen, verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of at least one, by majority or mean."""
    if len(verdicts) == 1:
        return verdicts[0]
    if frozen["kind"] == "score" or frozen["aggregate"] == "mean":
        return _mean(frozen, verdicts)
    return _majority(frozen, verdicts)


def _mean(frozen: Frozen, verdicts: Sequence[Verdict]) -> Verdict:
    value = fmean(verdict.value or 0.0 for verdict in verdicts)
    said = _first(verdicts, nearest=value)
    if frozen["kind"] == "score":
        threshold = frozen.get("threshold")
        passed = None if threshold is None else value >= threshold
        return Verdict(value, passed, f"{value:g}", said.explanation)
    answer = f"{value:.2f}"
    if frozen["kind"] == "compare":
        answer = TIE if value == MIDDLE else "A" if value > MIDDLE else "B"
    return Verdict(value, value > MIDDLE, answer, said.explanation)


def _first(verdicts: Sequence[Verdict], nearest: float) -> Verdict:
    return min(verdicts, key=lambda verdict: abs((verdict.value or 0.0) - nearest))


def _majority(frozen: Frozen, verdicts: Sequence[Verdict]) -> Verdict:
    """What most say. Without a majority a comparison is a tie, and a classification unscored."""
    counts = Counter(verdict.answer for verdict in verdicts).most_common()
    if len(counts) == 1 or counts[0][1] > counts[1][1]:
        return next(verdict for verdict in verdicts if verdict.answer == counts[0][0])
    said = ", ".join(f"{answer} {n}" for answer, n in counts)
    if frozen["kind"] == "compare":
        return Verdict(MIDDLE, False, TIE, f"no majority ({said}): a tie")
    return unscored(f"no majority: {said}")


def of_panel(frozen: Frozen, members: Mapping[str, Verdict]) -> Ballot:
    """Of a panel whose members, by name, have all had their say."""
    valid = {name: verdict for name, verdict in members.items() if verdict.value is not None}
    needed = max(1, int(frozen.get("min_votes") or 1))
    detail = {
        "flags": [MISSING] if len(valid) < len(members) else [],
        "votes": {name: verdict.answer for name, verdict in members.items()},
    }
    if len(valid) < needed:
        words = f"{len(valid)} of {len(members)} judge models gave a verdict; {needed} are needed"
        return Ballot(unscored(words), detail)
    verdict = polled(frozen, list(valid.values()))
    said = ", ".join(f"{name}: {each.answer}" for name, each in valid.items())
    return Ballot(Verdict(*_with(verdict, said)), detail)


def _with(verdict: Verdict, said: str) -> tuple[Any, ...]:
    words = f"{said}. {verdict.explanation}" if verdict.explanation else said
    return verdict.value, verdict.passed, verdict.answer, words[:2_000], verdict.unscored_reason
